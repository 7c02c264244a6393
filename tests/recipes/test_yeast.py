"""Genes by a hidden Markov model: counting by hand, made-up chromosomes, and the real ones."""

import json

import numpy as np
import pytest

from seqjax import data
from seqjax.__main__ import main
from seqjax.data import Chromosome
from seqjax.recipes import yeast

CODONS = ("GCT", "GAA", "AAG", "TTG", "GGT", "TCC")


def bases_of(text):
    return np.array(["ACGT".index(letter) for letter in text], np.int8)


def made_up(seed, num_genes=12):
    """Genes of favourite codons on both strands, and between them bases of which A and T are frequent."""
    random = np.random.default_rng(seed)
    bases, codon = [], []
    for number in range(num_genes):
        between = random.choice(4, random.integers(60, 90), p=[0.4, 0.1, 0.1, 0.4])
        words = ["ATG", *random.choice(CODONS, random.integers(60, 80)), "TAA"]
        gene, places = bases_of("".join(words)), np.tile([1, 2, 3], len(words))
        if number % 2:
            gene, places = 3 - gene[::-1], -places[::-1]
        bases += [between, gene]
        codon += [np.zeros(len(between), int), places]
    bases, codon = np.concatenate([*bases, bases[0]]), np.concatenate([*codon, codon[0]])
    return Chromosome(f"made up {seed}", "", bases, codon, "made up")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on made-up chromosomes, in its folder."""
    folder = tmp_path_factory.mktemp("runs") / "yeast"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "yeast", lambda: tuple(map(made_up, range(3))))
        arguments = ["--order", "2", "--window", "2000", "--run-dir", str(folder)]
        assert main(["train", "yeast", *arguments]) == 0
    return folder


@pytest.mark.slow
def test_genes_of_known_codons_are_found(run):
    results = json.loads((run / "run.json").read_text())["results"]
    assert results["hidden Markov model: accuracy"] > 0.99
    assert results["all of it codes: sensitivity"] == 1
    assert results["all of it codes: specificity"] == results["all of it codes: correlation"] == 0
    assert (run / "yeast.png").read_bytes().startswith(b"\x89PNG")
    assert "![yeast](yeast.png)" in (run / "report.md").read_text()


@pytest.mark.slow
def test_a_saved_model_finds_the_genes_of_a_text(run, capsys):
    # The text that the run was tested on, and its other strand: nothing of another length is compiled.
    chromosome = made_up(2)
    text = "".join("ACGT"[base] for base in chromosome.bases)
    other = text[::-1].translate(str.maketrans("ACGT", "TGCA")).lower()
    assert main(["predict", str(run), text, other]) == 0
    edges = np.flatnonzero(np.diff(chromosome.strand, prepend=0, append=0))
    genes = list(zip(edges[::2], edges[1::2], strict=True))
    first, second = capsys.readouterr().out.splitlines()
    names = {1: "this", -1: "the other"}
    assert first.split("; ") == [
        f"{start + 1} to {stop} on {names[chromosome.strand[start]]} strand" for start, stop in genes
    ]
    assert second.split("; ") == [
        f"{len(text) - stop + 1} to {len(text) - start} on {names[-chromosome.strand[start]]} strand"
        for start, stop in reversed(genes)
    ]
    assert main(["predict", str(run), "ACGU"]) == 2
    assert "'ACGU', expected the letters A, C, G and T" in capsys.readouterr().err


def test_states_are_places_in_genes_of_either_strand():
    gene = "ATGGCTTAA"
    forward = Chromosome("", "", bases_of("C" + gene + "C"), np.array([0, *[1, 2, 3] * 3, 0]), "")
    assert yeast.states(forward).tolist() == [0, *range(1, 10), 0]
    backward = forward._replace(bases=3 - forward.bases[::-1], codon=-forward.codon[::-1])
    assert yeast.states(backward).tolist() == [0, *range(10, 19), 0]
    # A gene that begins and ends otherwise has neither a start nor a stop.
    other = forward._replace(bases=bases_of("CCCCGCTCCCC"))
    assert yeast.states(other).tolist() == [0, *[4, 5, 6] * 3, 0]


def test_emissions_are_smoothed_counts():
    chromosome = Chromosome("", "", bases_of("ACACG"), np.zeros(5, int), "")
    first = yeast.emissions([chromosome], 0, 200.0)[0, 0]
    np.testing.assert_allclose(first, (np.array([2, 2, 1, 0]) + 0.01 * 0.25) / 5.01, rtol=1e-6)
    second = yeast.emissions([chromosome], 1, 200.0)[0]
    # After C came A and G once; what is before the first base is read as A.
    np.testing.assert_allclose(second[1], (np.array([1, 0, 1, 0]) + 0.01 * first) / 2.01, rtol=1e-6)
    np.testing.assert_allclose(second[0], (np.array([1, 2, 0, 0]) + 0.01 * first) / 3.01, rtol=1e-6)
    np.testing.assert_allclose(second[3], first, rtol=1e-6)
    assert yeast.emissions([chromosome], 3, 200.0).sum(axis=-1) == pytest.approx(1, rel=1e-6)


def test_mistakes_are_told_in_a_line(tmp_path, capsys):
    for option, value in (("--order", "9"), ("--smoothing", "0")):
        assert main(["train", "yeast", option, value, "--run-dir", str(tmp_path)]) == 2
        assert "expected 0 to 8 and above 0" in capsys.readouterr().err
