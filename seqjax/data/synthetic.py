"""Generated tasks of the literature, which show what a network can remember, count or store.

Each function draws one batch. The same seed gives the same batch: a stream of fresh ones counts it up,
as in `parity(32, 20, seed=(7, step))`. Nothing is padded unless lengths are given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqjax.data.orders import whole_number
from seqjax.data.vocabulary import Vocabulary
from seqjax.types import Batch

Seed = int | Sequence[int]

ADDITION = Vocabulary("characters", tuple("+0123456789"))
"""What `integer_addition` is written in."""


def adding_problem(batch_size: int, num_steps: int, *, seed: Seed) -> Batch:
    """Add the two numbers that are marked (Hochreiter & Schmidhuber, 1997, section 5.4).

    As Le et al. (2015) and Arjovsky et al. (2016) give it: a number from 0 to 1 at each step, and a mark at
    one step of each half. To answer 1 always has a mean squared error of 1/6.

    Args:
      batch_size: rows, `B`.
      num_steps: steps, `T`, at least 2.
      seed: an integer of zero or more, or several: which batch.

    Returns:
      `inputs[T, B, 2]` float32, the number and the mark (0 or 1); `targets[B, 1]` float32, the sum.

    Raises:
      TypeError: an argument is not an integer.
      ValueError: an argument is too small.

    >>> batch = adding_problem(3, 10, seed=0)
    >>> batch.inputs.shape, batch.targets.shape, batch.inputs[..., 1].sum(axis=0).tolist()
    ((10, 3, 2), (3, 1), [2.0, 2.0, 2.0])
    """
    batch_size, num_steps = _sizes(batch_size, num_steps, 2)
    random = _generator(seed)
    values = random.random((num_steps, batch_size), np.float32)
    marks = np.zeros_like(values)
    half, rows = num_steps // 2, np.arange(batch_size)
    marks[random.integers(0, half, batch_size), rows] = 1
    marks[random.integers(half, num_steps, batch_size), rows] = 1
    return Batch(np.stack([values, marks], axis=-1), (values * marks).sum(axis=0)[:, None])


def temporal_order(batch_size: int, num_steps: int, *, seed: Seed) -> Batch:
    """Tell in which order two signals came (Hochreiter & Schmidhuber, 1997, section 5.6, task 6a).

    Tokens 0 to 3 distract and mean nothing; 4 is X and 5 is Y; a sequence starts with 6 and ends with 7. Two
    of X and Y come, in the second tenth of the steps and in the sixth, and the class is 0 for XX, 1 for XY,
    2 for YX and 3 for YY.

    Args:
      batch_size: rows, `B`.
      num_steps: steps, `T`, at least 10. There they were 100 to 110.
      seed: an integer of zero or more, or several: which batch.

    Returns:
      `inputs[T, B]` int32 from 0 to 7; `targets[B]` int32 from 0 to 3.

    Raises:
      TypeError: an argument is not an integer.
      ValueError: an argument is too small.

    >>> batch = temporal_order(2, 10, seed=0)
    >>> batch.inputs[:, 0].tolist(), batch.targets[0]
    ([6, 4, 1, 0, 0, 5, 2, 3, 2, 7], np.int32(1))
    """
    batch_size, num_steps = _sizes(batch_size, num_steps, 10)
    random = _generator(seed)
    tokens = random.integers(0, 4, (num_steps, batch_size), np.int32)
    tokens[0], tokens[-1] = 6, 7
    signals = random.integers(0, 2, (2, batch_size), np.int32)
    rows, tenth = np.arange(batch_size), num_steps // 10
    tokens[random.integers(tenth, 2 * tenth, batch_size), rows] = 4 + signals[0]
    tokens[random.integers(5 * tenth, 6 * tenth, batch_size), rows] = 4 + signals[1]
    return Batch(tokens, 2 * signals[0] + signals[1])


def copying_memory(batch_size: int, delay: int, *, seed: Seed, num_symbols: int = 10) -> Batch:
    """Repeat what was read after a delay (Arjovsky et al., 2016, section 4.1).

    Tokens 0 to 7 are to be remembered, 8 is blank, 9 asks for the answer. The input is `num_symbols` of the
    first, `delay - 1` blanks, a 9, and `num_symbols` blanks; the target is blank until the symbols come
    again. Without a memory the best cross entropy is `num_symbols * log(8) / T`.

    Args:
      batch_size: rows, `B`.
      delay: steps from the last symbol to the question, at least 1.
      seed: an integer of zero or more, or several: which batch.
      num_symbols: how many symbols to remember.

    Returns:
      `inputs[T, B]` int32 from 0 to 9 and `targets[T, B]` int32 from 0 to 8, for
      `T = delay + 2 * num_symbols`.

    Raises:
      TypeError: an argument is not an integer.
      ValueError: an argument is too small.

    >>> batch = copying_memory(1, 3, seed=0, num_symbols=2)
    >>> batch.inputs[:, 0].tolist(), batch.targets[:, 0].tolist()
    ([6, 5, 8, 8, 9, 8, 8], [8, 8, 8, 8, 8, 6, 5])
    """
    batch_size, delay = _sizes(batch_size, delay, 1, "delay")
    num_symbols = whole_number(num_symbols, "num_symbols", 1)
    symbols = _generator(seed).integers(0, 8, (num_symbols, batch_size), np.int32)
    inputs = np.full((delay + 2 * num_symbols, batch_size), 8, np.int32)
    targets = inputs.copy()
    inputs[:num_symbols] = targets[-num_symbols:] = symbols
    inputs[num_symbols + delay - 1] = 9
    return Batch(inputs, targets)


def parity(batch_size: int, num_steps: int, *, seed: Seed) -> Batch:
    """Tell whether an odd number of ones came so far (Minsky & Papert, 1969; Bengio et al., 1994).

    The last target is the parity of the whole sequence: the task of one answer a sequence is
    `dataclasses.replace(batch, targets=batch.targets[-1])`.

    Args:
      batch_size: rows, `B`.
      num_steps: steps, `T`, at least 1.
      seed: an integer of zero or more, or several: which batch.

    Returns:
      `inputs[T, B, 1]` float32, 0 or 1; `targets[T, B]` int32, 0 or 1.

    Raises:
      TypeError: an argument is not an integer.
      ValueError: an argument is too small.

    >>> batch = parity(1, 6, seed=0)
    >>> batch.inputs[:, 0, 0].tolist(), batch.targets[:, 0].tolist()
    ([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], [1, 0, 1, 1, 1, 1])
    """
    batch_size, num_steps = _sizes(batch_size, num_steps, 1)
    bits = _generator(seed).integers(0, 2, (num_steps, batch_size), np.int32)
    return Batch(bits[..., None].astype(np.float32), np.cumsum(bits, axis=0, dtype=np.int32) % 2)


def flip_flop(batch_size: int, num_steps: int, *, seed: Seed, num_bits: int = 2, rate: float = 0.1) -> Batch:
    """Hold what each of several switches was set to last (Sussillo & Barak, 2013, there with three bits).

    A switch is set at the first step, and at each later one with probability `rate`.

    Args:
      batch_size: rows, `B`.
      num_steps: steps, `T`, at least 1.
      seed: an integer of zero or more, or several: which batch.
      num_bits: how many switches, `M`.
      rate: how often a switch is set, from 0 to 1.

    Returns:
      `inputs[T, B, M]` float32: 1 where a switch is set to on, -1 to off, 0 where it is not touched;
      `targets[T, B, M]` float32: 1 for on, 0 for off.

    Raises:
      TypeError: an argument is not a number.
      ValueError: an argument is out of range.

    >>> batch = flip_flop(1, 6, seed=1, num_bits=1, rate=0.5)
    >>> batch.inputs[:, 0, 0].tolist(), batch.targets[:, 0, 0].tolist()
    ([-1.0, 0.0, -1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    """
    batch_size, num_steps = _sizes(batch_size, num_steps, 1)
    num_bits = whole_number(num_bits, "num_bits", 1)
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise TypeError(f"rate is {rate!r}, expected a number from 0 to 1.")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is {rate!r}, expected a number from 0 to 1.")
    random = _generator(seed)
    shape = (num_steps, batch_size, num_bits)
    touched = random.random(shape) < rate
    touched[0] = True
    settings = random.integers(0, 2, shape)
    last = np.maximum.accumulate(np.where(touched, np.arange(num_steps)[:, None, None], 0), axis=0)
    held = np.take_along_axis(settings, last, axis=0)
    return Batch(np.where(touched, 2 * settings - 1, 0).astype(np.float32), held.astype(np.float32))


def dyck(
    batch_size: int, num_steps: int, *, seed: Seed, num_kinds: int = 2, max_depth: int | None = None
) -> Batch:
    """Tell what may follow in words of matched brackets (Suzgun et al., 2019).

    Dyck-n (Chomsky & Schützenberger, 1963) has `n` kinds of brackets; with a `max_depth` it is the
    Dyck-(n, m) of Hewitt et al. (2020). The length of a word is drawn from all even ones up to `num_steps`;
    then it opens or closes a bracket with equal chances wherever it may do both. A word is predicted
    correctly if every step of it is.

    Args:
      batch_size: rows, `B`.
      num_steps: steps, `T`, at least 2; the longest word.
      seed: an integer of zero or more, or several: which batch.
      num_kinds: kinds of brackets, `n`.
      max_depth: how many brackets may be open at once; `None` for any number.

    Returns:
      `inputs[T, B]` int32: kind `k` opens as token `k` and closes as token `n + k`; `lengths[B]` int32;
      `targets[T, B, 2n + 1]` float32: 1 for each token that may follow, and at last whether the word may
      end here, else 0.

    Raises:
      TypeError: an argument is not an integer.
      ValueError: an argument is too small.

    >>> batch = dyck(1, 4, seed=3, num_kinds=1)
    >>> batch.inputs[:, 0].tolist(), batch.lengths.tolist(), batch.targets[:, 0].astype(int).tolist()
    ([0, 1, 0, 1], [4], [[1, 1, 0], [1, 0, 1], [1, 1, 0], [1, 0, 1]])
    """
    batch_size, num_steps = _sizes(batch_size, num_steps, 2)
    num_kinds = whole_number(num_kinds, "num_kinds", 1)
    max_depth = num_steps if max_depth is None else whole_number(max_depth, "max_depth", 1)
    random = _generator(seed)
    lengths = 2 * random.integers(1, num_steps // 2 + 1, batch_size)
    tokens = np.zeros((num_steps, batch_size), np.int32)
    targets = np.zeros((num_steps, batch_size, 2 * num_kinds + 1), np.float32)
    # Row 0 stays below what the stack holds, so that an empty one can be looked at too.
    stack = np.zeros((num_steps + 2, batch_size), np.int32)
    depth, rows = np.zeros(batch_size, np.int64), np.arange(batch_size)
    for step in range(num_steps):
        valid = step < lengths
        must_close = (depth == lengths - step) | (depth == max_depth)
        opens = valid & ((depth == 0) | ~must_close & (random.random(batch_size) < 0.5))
        closes = valid & ~opens
        kinds = random.integers(0, num_kinds, batch_size, np.int32)
        tokens[step] = np.where(opens, kinds, np.where(closes, num_kinds + stack[depth, rows], 0))
        stack[depth + 1, rows] = np.where(opens, kinds, stack[depth + 1, rows])
        depth += opens.astype(np.int64) - closes
        targets[step, :, :num_kinds] = (depth < max_depth)[:, None]
        targets[step, rows, num_kinds + stack[depth, rows]] = depth > 0
        targets[step, :, -1] = depth == 0
        targets[step, ~valid] = 0
    return Batch(tokens, targets, lengths=lengths.astype(np.int32))


def integer_addition(batch_size: int, num_digits: int, *, seed: Seed) -> Batch:
    """Add two integers written as characters, digit by digit (Zaremba & Sutskever, 2014).

    A sequence-to-sequence task after Sutskever et al. (2014): `"12+9"` becomes `"21"` and the end token. All
    numbers of digits up to `num_digits` are equally frequent. `ADDITION.decode` turns tokens into text.

    Args:
      batch_size: rows, `B`.
      num_digits: digits of a summand at most, from 1 to 18.
      seed: an integer of zero or more, or several: which batch.

    Returns:
      `inputs[2 * num_digits + 1, B]` int32 with `lengths[B]`, and `targets[num_digits + 2, B]` int32 with
      `target_lengths[B]`, the end token included; past their lengths both are padded with 0.

    Raises:
      TypeError: an argument is not an integer.
      ValueError: an argument is out of range.

    >>> batch = integer_addition(1, 2, seed=0)
    >>> ADDITION.decode(batch.inputs[:, 0]), ADDITION.decode(batch.targets[:, 0]), batch.target_lengths
    ('56+34', '90', array([3], dtype=int32))
    """
    batch_size, num_digits = _sizes(batch_size, num_digits, 1, "num_digits")
    if num_digits > 18:
        raise ValueError(f"num_digits is {num_digits}, expected at most 18.")
    random = _generator(seed)
    digits = random.integers(1, num_digits + 1, (batch_size, 2))
    lowest = np.where(digits == 1, 0, 10 ** (digits - 1))
    summands = random.integers(lowest, 10**digits)
    questions = [ADDITION.encode(f"{first}+{second}") for first, second in summands.tolist()]
    answers = [[*ADDITION.encode(str(sum(pair))), Vocabulary.end] for pair in summands.tolist()]
    inputs = np.full((2 * num_digits + 1, batch_size), Vocabulary.padding, np.int32)
    targets = np.full((num_digits + 2, batch_size), Vocabulary.padding, np.int32)
    for array, texts in ((inputs, questions), (targets, answers)):
        for row, tokens in enumerate(texts):
            array[: len(tokens), row] = tokens
    lengths, target_lengths = (
        np.array([len(text) for text in texts], np.int32) for texts in (questions, answers)
    )
    return Batch(inputs, targets, lengths=lengths, target_lengths=target_lengths)


def _sizes(batch_size: int, second: int, minimum: int, name: str = "num_steps") -> tuple[int, int]:
    return whole_number(batch_size, "batch_size", 1), whole_number(second, name, minimum)


def _generator(seed: Seed) -> np.random.Generator:
    parts = seed if isinstance(seed, Sequence) and not isinstance(seed, str) else (seed,)
    return np.random.default_rng([whole_number(part, "seed", 0) for part in parts])
