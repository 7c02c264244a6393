"""The archives that the data sets come from: one constant each, and a table of them all.

A new data set adds its `Archive` here and a function that parses it beside `seqjax.data.datasets`.
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

ARCHIVES: Mapping[str, Archive] = MappingProxyType({"vader_sentiment": VADER_SENTIMENT})
