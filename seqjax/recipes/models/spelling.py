"""Words by what they are and by how they are spelled: for what is written in words never seen before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from flax import struct

from seqjax import data
from seqjax.checks import as_array, check_size
from seqjax.data import Vocabulary
from seqjax.data.vocabulary import RESERVED
from seqjax.layers import Layer, pointwise
from seqjax.layers.noise import check_rate
from seqjax.tasks.pooling import as_pooling
from seqjax.types import Array, Key, Params


def folded(word: str) -> str:
    """A word in small letters, the Turkish ones: the small `I` has no dot, and that of `İ` has one.

    Args:
      word: any text.

    Returns:
      The same in small letters.

    Example:
      >>> folded("Irmak"), folded("İki")
      ('ırmak', 'iki')
    """
    return word.replace("İ", "i").replace("I", "ı").lower()


def split_sentence(text: str) -> list[str]:
    """Cuts a sentence into words and signs, as the treebank does.

    Args:
      text: a sentence. A word holds letters and digits; apostrophes, points, commas and hyphens between
        them belong to it.

    Returns:
      Its words, and each sign or run of one sign.

    Raises:
      ValueError: if there are none.

    Example:
      >>> split_sentence("Ankara'da saat 3.30, değil mi?..")
      ["Ankara'da", 'saat', '3.30', ',', 'değil', 'mi', '?', '..']
    """
    words = [match.group() for match in re.finditer(r"\w+(?:[.,'’:-]\w+)*|([^\w\s])\1*", text)]
    if not words:
        raise ValueError(f"texts holds {text!r}, expected a sentence: there is no word in it.")
    return words


class Spelling(NamedTuple):
    """What turns words into tokens, and their letters too.

    Attributes:
      words: the words that are known, in small letters.
      characters: the characters that are known.
      reach: how many characters of a word are read, counted from its end.
    """

    words: Vocabulary
    characters: Vocabulary
    reach: int

    def encode(self, sentences: Iterable[Sequence[str]]) -> list[npt.NDArray[np.int32]]:
        """A row of tokens for each word of each sentence.

        Args:
          sentences: each a list of `t` words.

        Returns:
          For each `[t, 1 + reach]`: the word's token, those of its characters, and padding.

        Example:
          >>> spelling = learn_spelling([["ev", "Ev", "at"]], min_count=2, reach=3)
          >>> [tokens.tolist() for tokens in spelling.encode([["Ev", "atta"], [""]])]
          [[[4, 4, 8, 0], [1, 7, 7, 5]], [[1, 0, 0, 0]]]
        """
        known = {word: RESERVED + place for place, word in enumerate(self.words.symbols)}

        def row(word: str) -> list[int]:
            letters = self.characters.encode(word[-self.reach :])
            fill = [Vocabulary.padding] * (self.reach - len(letters))
            return [known.get(folded(word), Vocabulary.unknown), *letters, *fill]

        return [
            np.array([row(word) for word in sentence], np.int32).reshape(-1, 1 + self.reach)
            for sentence in sentences
        ]


def learn_spelling(sentences: Iterable[Sequence[str]], *, min_count: int, reach: int) -> Spelling:
    """The words and characters of some sentences.

    Args:
      sentences: each a list of words: the training part only.
      min_count: how often a word has to occur to be known.
      reach: how many characters of a word are read.

    Returns:
      A `Spelling`.

    Raises:
      ValueError: if `min_count` or `reach` is not positive.

    Example:
      >>> learn_spelling([["Bir", "ev"], ["bir", "at"]], min_count=2, reach=9).words.symbols
      ('bir',)
    """
    check_size("min_count", min_count)
    check_size("reach", reach)
    words = [word for sentence in sentences for word in sentence]
    counts = Counter(map(folded, words))
    frequent = sorted((word for word in counts if counts[word] >= min_count), key=lambda w: (-counts[w], w))
    return Spelling(Vocabulary("words", tuple(frequent)), data.characters(words), reach)


@struct.dataclass
class SpelledParams:
    """Parameters of `spelled`.

    Attributes:
      words: of the layer that reads words.
      characters: of the layer that reads their characters.
    """

    words: Params
    characters: Params


def spelled(words: Layer, characters: Layer, *, unknown_rate: float) -> Layer:
    """Reads each word as a whole and, with a network of its own, character by character.

    Equation (Ling et al., 2015; Lample et al., 2016): `y_t = [words(x_t0), pool(characters(x_t1 ... x_tC))]`,
    where the pool takes the outputs at the last and at the first character, so that of a network that runs in
    both directions it has both ends.

    In training, each word is taken for unknown with probability `unknown_rate`, its characters staying, so
    that the network learns what to make of words by their spelling.

    Args:
      words: a layer over tokens.
      characters: a layer over tokens; it starts anew at each word.
      unknown_rate: a share of words, from 0 up to but not including 1.

    Returns:
      A `Layer` with `SpelledParams`, over tokens `[T, *B, 1 + C]` as `Spelling.encode` gives them; padding
      ends the characters. Its carry is `()`.

    Raises:
      ValueError: if `unknown_rate` is out of range.
      TypeError: `unroll` raises it if tokens are not integers.

    Example:
      >>> import seqjax as sj
      >>> letters = sj.stack(sj.embed(9, 3), sj.bidirectional(sj.gru(4)))
      >>> layer = spelled(sj.embed(99, 5), letters, unknown_rate=0.1)
      >>> params = layer.init(jax.random.key(0), 7)
      >>> layer.unroll(params, jnp.ones((3, 2, 7), int))[1].shape
      (3, 2, 21)
    """
    check_rate("unknown_rate", unknown_rate)
    ends = as_pooling("ends")

    def init(key: Key, input_size: int) -> SpelledParams:
        words_key, characters_key = jax.random.split(key)
        return SpelledParams(words=words.init(words_key, 1), characters=characters.init(characters_key, 1))

    def read(params: SpelledParams, xs: Array, keys: Sequence[Key | None]) -> Array:
        tokens = xs.reshape(-1, xs.shape[-1])
        vectors = words.unroll(params.words, tokens[None, :, 0], key=keys[0])[1][0]
        letters = tokens[:, 1:].T
        valid = letters != Vocabulary.padding
        _, outputs = characters.unroll(params.characters, letters, lengths=valid.sum(axis=0), key=keys[1])
        ys = jnp.concatenate([vectors, ends.apply((), outputs, valid)], axis=-1)
        return ys.reshape(*xs.shape[:-1], ys.shape[-1])

    def train(params: SpelledParams, xs: Array, key: Key, resets: Array | None) -> Array:
        drawn, *keys = jax.random.split(key, 3)
        if unknown_rate > 0:
            hidden = jax.random.bernoulli(drawn, unknown_rate, xs.shape[:-1])
            xs = xs.at[..., 0].set(jnp.where(hidden, Vocabulary.unknown, xs[..., 0]))
        return read(params, xs, keys)

    return pointwise(
        lambda params, xs: read(params, xs, (None, None)),
        train=train,
        init=init,
        params_type=SpelledParams,
        output_size=lambda input_size: words.output_size(1) + ends.output_size(characters.output_size(1)),
        checked=_integers,
    )


def _integers(xs: Any) -> Array:
    xs = as_array("xs", xs)
    if not jnp.issubdtype(xs.dtype, jnp.integer):
        raise TypeError(
            f"xs has dtype {xs.dtype}, expected integer tokens: encode words with Spelling.encode."
        )
    return xs
