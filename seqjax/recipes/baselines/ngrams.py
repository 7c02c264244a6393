"""The baseline that a language model has to beat: counts of what came after the last few tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqjax.data import Texts, Vocabulary

Codes = npt.NDArray[np.int64]
"""N-grams as numbers in base `V`, the newest token the last digit."""
Floats = npt.NDArray[np.float64]


class Level(NamedTuple):
    """The n-grams of one length that were seen.

    Attributes:
      grams: which, sorted.
      kept: of each, its count less the discount.
      contexts: those n-grams without their newest token, sorted.
      totals: of each context, the sum of its counts.
      reserved: of each context, the sum of its discounts.
    """

    grams: Codes
    kept: Floats
    contexts: Codes
    totals: Floats
    reserved: Floats


def kneser_ney(
    learned_from: Sequence[npt.ArrayLike],
    unseen: Sequence[npt.ArrayLike],
    vocabulary_size: int,
    max_order: int,
) -> Floats:
    """Interpolated Kneser-Ney with three discounts (Chen & Goodman, 1999, section 3), of each order.

    Equations: with the context `h` of `n - 1` tokens, and `h'` without its oldest,
    `P_n(x | h) = (c(h x) - D(h x) + sum_y D(h y) Q_{n-1}(x | h')) / sum_y c(h y)`,
    and `P_n = Q_{n-1}` where `h` was never seen. `Q_n` is the same, but its counts are how many tokens come
    before `h x` in place of how often it comes; `Q_0` is uniform. With `N_k` n-grams of count `k` and
    `Y = N_1 / (N_1 + 2 N_2)`, the discount `D` is `k - (k + 1) Y N_{k+1} / N_k` of a count `k` of 1, 2, and 3
    or more, and one half where some `N_k` is zero, as it is where tokens are few.

    Before the first token of a sequence stand zeros, so that zero should be no token of any.

    Args:
      learned_from: sequences `[t]` of integers from 0 to `V - 1`.
      unseen: the same, whose tokens are to be predicted.
      vocabulary_size: `V`.
      max_order: `n` of the longest n-gram.

    Returns:
      `[max_order, N]`, the probabilities of all tokens of `unseen`, end to end, by the models of order 1 to
      `max_order`.

    Raises:
      ValueError: if there is nothing to learn from, the order is less than one, or n-grams of one token more
        are too many for 63 bits.

    Example:
      >>> kneser_ney([[1, 2, 1, 2, 1]], [[1, 2]], vocabulary_size=3, max_order=2).round(3).tolist()
      [[0.567, 0.367], [0.806, 0.819]]
    """
    if max_order < 1 or vocabulary_size ** (max_order + 1) >= 2**63:
        raise ValueError(
            f"max_order is {max_order}, expected 1 or more, and {vocabulary_size}**(max_order + 1), the "
            f"number of n-grams, less than 2**63."
        )
    if not sum(map(np.size, learned_from)):
        raise ValueError("learned_from holds no tokens, expected some to count.")
    seen = _codes(learned_from, vocabulary_size, max_order + 1)
    new = _codes(unseen, vocabulary_size, max_order)
    lower = np.full(len(new[0]), 1 / vocabulary_size)
    chances = []
    for place, codes in enumerate(new):
        chances.append(_interpolated(_level(seen[place], vocabulary_size), codes, lower, vocabulary_size))
        # What comes before each: n-grams of one token more, each once, without their oldest. With counts they
        # are sorted, which is many times faster than the hashes that NumPy takes without.
        longer, _ = np.unique(seen[place + 1], return_counts=True)
        inner = longer % vocabulary_size ** (place + 1)
        lower = _interpolated(_level(inner, vocabulary_size), codes, lower, vocabulary_size)
    return np.stack(chances)


def ngram_bits(
    fitted: Texts, validation: Texts, held_out: Texts, vocabulary: Vocabulary, max_order: int
) -> dict[str, float]:
    """Bits per held-out character of n-gram models: one character, three, five, and as validation chooses.

    Args:
      fitted: what they learn from.
      validation: what chooses the order.
      held_out: what they predict.
      vocabulary: what turns characters into tokens.
      max_order: the longest n-gram.

    Returns:
      Bits by the name of the model; the last is the one chosen.

    Example:
      >>> from seqjax import data
      >>> texts = Texts(["a"], ["abababba"], "", "")
      >>> sorted(ngram_bits(texts, texts, texts, data.characters(["ab"]), 2))
      ['2-gram', 'unigram']
    """
    parts = [[vocabulary.encode(text) for text in part.texts] for part in (fitted, validation, held_out)]
    chances = kneser_ney(parts[0], parts[1] + parts[2], len(vocabulary), max_order)
    split = sum(map(len, parts[1]))
    chosen = int(np.argmax(np.log2(chances[:, :split]).mean(axis=1))) + 1
    bits = -np.log2(chances[:, split:]).mean(axis=1)
    orders = [order for order in (1, 3, 5) if order < chosen] + [chosen]
    return {"unigram" if order == 1 else f"{order}-gram": float(bits[order - 1]) for order in orders}


def _codes(sequences: Sequence[npt.ArrayLike], vocabulary_size: int, max_order: int) -> list[Codes]:
    """Of each order from 1, the n-gram that ends at each token of all sequences."""
    gap = max_order - 1
    stream = np.concatenate([np.pad(np.asarray(tokens, np.int64), (gap, 0)) for tokens in sequences])
    lengths = [np.size(tokens) for tokens in sequences]
    ends = np.concatenate([np.arange(gap + length) >= gap for length in lengths])
    places = np.flatnonzero(ends)
    codes = [stream[places]]
    for back in range(1, max_order):
        codes.append(codes[-1] + stream[places - back] * vocabulary_size**back)
    return codes


def _level(codes: Codes, vocabulary_size: int) -> Level:
    grams, counts = np.unique(codes, return_counts=True)
    numbers = np.array([np.count_nonzero(counts == count) for count in range(1, 5)])
    discounts = np.full(3, 0.5)
    if numbers.all():
        share = numbers[0] / (numbers[0] + 2 * numbers[1])
        discounts = np.arange(1, 4) - np.arange(2, 5) * share * numbers[1:] / numbers[:-1]
    discount = discounts[np.minimum(counts, 3) - 1]
    contexts, starts = np.unique(grams // vocabulary_size, return_index=True)
    return Level(
        grams=grams,
        kept=counts - discount,
        contexts=contexts,
        totals=np.add.reduceat(counts, starts).astype(float),
        reserved=np.add.reduceat(discount, starts),
    )


def _interpolated(level: Level, codes: Codes, lower: Floats, vocabulary_size: int) -> Floats:
    """The probability of each n-gram's newest token, from the level and from the order below."""
    gram, known = _find(level.grams, codes)
    context, begun = _find(level.contexts, codes // vocabulary_size)
    mixed = np.where(known, level.kept[gram], 0) + level.reserved[context] * lower
    return np.where(begun, mixed / level.totals[context], lower)


def _find(sorted_codes: Codes, codes: Codes) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """Where codes are, and whether they are there at all."""
    places = np.minimum(np.searchsorted(sorted_codes, codes), len(sorted_codes) - 1)
    return places, sorted_codes[places] == codes
