"""Prefix beam search: the most probable label sequences under connectionist temporal classification."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import as_array, check_size
from seqjax.types import Array
from seqjax.unroll import checked_lengths


@struct.dataclass
class CTCBeams:
    """The most probable label sequences that were found, best first.

    Attributes:
      tokens: `[T, N, *B]` int32 labels, followed by blanks.
      lengths: `[N, *B]` int32, how many labels there are.
      log_probabilities: `[N, *B]`, of the paths that were kept; minus infinity where fewer than `N` sequences
        were found.
    """

    tokens: Array
    lengths: Array
    log_probabilities: Array


class _Prefixes(NamedTuple):
    """`W` label sequences that differ, and the log-probabilities of the paths so far that read as them."""

    tokens: Array  # [W, T]
    lengths: Array  # [W]
    blank: Array  # [W], of the paths that end with a blank
    label: Array  # [W], of those that end with the last label

    def total(self) -> Array:
        return jnp.logaddexp(self.blank, self.label)


def ctc_beam(logits: Any, *, width: int, lengths: Any = None, blank: int = 0, num_best: int = 1) -> CTCBeams:
    """Searches for the label sequences whose paths have the highest probability together.

    Equations (Graves, 2012, sec. 7.5.3; Hannun et al., 2014, algorithm 1): for each prefix, the probability
    of the paths that end with a blank and of those that end with its last label are kept apart,
    `blank' = y_blank (blank + label)`, and a label `c` is appended with
    `label' = y_c (blank + label)`, but `y_c blank` where `c` is the last label already, whose repetition
    leaves the prefix as it is. Paths to the same prefix are added up. Each step keeps the `width` most
    probable prefixes; a width that holds all of them gives the exact answer.

    Args:
      logits: `[T, *B, K]`, such as `prediction.logits` of a task with `heads.ctc`.
      width: `W`, how many prefixes are kept.
      lengths: `[*B]` integers, the valid steps; `None` where all have `T`.
      blank: the class that stands for no label.
      num_best: `N`, how many sequences to return, at most `width`.

    Returns:
      `CTCBeams`.

    Raises:
      TypeError: if an argument is of another type.
      ValueError: if an argument is out of range.

    Example:
      >>> logits = jnp.log(jnp.array([[0.4, 0.6], [0.4, 0.6]]))
      >>> beams = ctc_beam(logits, width=4)  # 1-, -1 and 11 together have 0.84
      >>> beams.tokens[:, 0].tolist(), round(float(jnp.exp(beams.log_probabilities[0])), 4)
      ([1, 0], 0.84)
    """
    check_size("width", width)
    check_size("num_best", num_best)
    if num_best > width:
        raise ValueError(f"num_best is {num_best}, expected at most the width, {width}.")
    logits = as_array("logits", logits)
    if logits.ndim < 2 or not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"logits is {logits.dtype}{list(logits.shape)}, expected floating [T, *B, K].")
    if isinstance(blank, bool) or not hasattr(blank, "__index__"):
        raise TypeError(f"blank is {blank!r}, expected a class: an integer.")
    if not 0 <= blank < logits.shape[-1]:
        raise ValueError(f"blank is {blank}, expected one of the classes, 0 to {logits.shape[-1] - 1}.")
    batch_shape = logits.shape[1:-1]
    if lengths is None:
        lengths = jnp.full(batch_shape, len(logits), jnp.int32)
    lengths = checked_lengths(lengths, len(logits), batch_shape)
    return _search(int(width), int(blank), int(num_best), logits, lengths)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _search(width: int, blank: int, num_best: int, logits: Array, lengths: Array) -> CTCBeams:
    num_steps, *batch_shape, size = logits.shape
    valid = ops.length_mask(lengths, num_steps)
    logs = jax.nn.log_softmax(ops.zero_padding(logits, valid))

    def one_row(logs: Array, valid: Array) -> _Prefixes:
        nothing = jnp.full((width,), -jnp.inf, logs.dtype)
        start = _Prefixes(
            tokens=jnp.full((width, num_steps), blank, jnp.int32),
            lengths=jnp.zeros((width,), jnp.int32),
            blank=nothing.at[0].set(0),
            label=nothing,
        )

        def step(prefixes: _Prefixes, inputs: tuple[Array, Array]) -> tuple[_Prefixes, None]:
            scores, is_valid = inputs
            after = _extended(prefixes, scores, blank)
            return jax.tree.map(lambda new, old: jnp.where(is_valid, new, old), after, prefixes), None

        return jax.lax.scan(step, start, (logs, valid))[0]

    flat = jnp.moveaxis(logs.reshape(num_steps, -1, size), 1, 0)
    found = jax.vmap(one_row)(flat, jnp.moveaxis(valid.reshape(num_steps, -1), 1, 0))
    totals, order = jax.lax.top_k(jnp.logaddexp(found.blank, found.label), num_best)
    tokens = jnp.take_along_axis(found.tokens, order[..., None], axis=1)
    counts = jnp.take_along_axis(found.lengths, order, axis=1)
    return CTCBeams(
        tokens=tokens.transpose(2, 1, 0).reshape(num_steps, num_best, *batch_shape),
        lengths=counts.T.reshape(num_best, *batch_shape),
        log_probabilities=totals.T.reshape(num_best, *batch_shape),
    )


def _extended(prefixes: _Prefixes, scores: Array, blank: int) -> _Prefixes:
    """The best prefixes after one more step: each as it is, or with one more label."""
    width, size = len(prefixes.lengths), len(scores)
    number = jnp.arange(width)
    last = prefixes.tokens[number, jnp.maximum(prefixes.lengths - 1, 0)]  # blank where there is no label
    total = prefixes.total()
    # As it is: by a blank, or by the last label again.
    stays_blank = total + scores[blank]
    stays_label = jnp.where(prefixes.lengths > 0, prefixes.label + scores[last], -jnp.inf)
    # With one more label, for each prefix and label; the last one again only after a blank.
    again = jnp.arange(size) == last[:, None]
    grown = jnp.where(again, prefixes.blank[:, None], total[:, None]) + scores
    grown = grown.at[:, blank].set(-jnp.inf)
    # A prefix with one more label may be one that is there already: its paths are added to that one's.
    parent = _parents(prefixes, last, blank)
    arrives = jnp.where(parent, grown[:, last], -jnp.inf)  # [from, to]
    stays_label = jnp.logaddexp(stays_label, jax.nn.logsumexp(arrives, axis=0))
    there = (parent[:, :, None] & (jnp.arange(size) == last[:, None])).any(axis=1)
    grown = jnp.where(there, -jnp.inf, grown)
    return _best(prefixes, stays_blank, stays_label, grown)


def _parents(prefixes: _Prefixes, last: Array, blank: int) -> Array:
    """`[from, to]`, whether the second prefix is the first with one more label."""
    num_steps = prefixes.tokens.shape[1]
    ends = jnp.arange(num_steps) == (prefixes.lengths - 1)[:, None]
    shortened = jnp.where(ends, blank, prefixes.tokens)
    same = (prefixes.tokens[:, None] == shortened).all(axis=-1)
    # Places of the beam without a prefix look empty, and are nobody's parent or child.
    present = prefixes.total() > -jnp.inf
    longer = prefixes.lengths == prefixes.lengths[:, None] + 1
    return same & longer & present & present[:, None]


def _best(prefixes: _Prefixes, stays_blank: Array, stays_label: Array, grown: Array) -> _Prefixes:
    """The `W` most probable of those that stay and those that grow."""
    width, size = grown.shape
    totals = jnp.concatenate([jnp.logaddexp(stays_blank, stays_label), grown.ravel()])
    _, places = jax.lax.top_k(totals, width)
    grows = places >= width
    parent = jnp.where(grows, (places - width) // size, places)
    label = ((places - width) % size).astype(jnp.int32)
    length = prefixes.lengths[parent]
    tokens = prefixes.tokens[parent]
    appended = tokens.at[jnp.arange(width), length].set(label, mode="drop")
    return _Prefixes(
        tokens=jnp.where(grows[:, None], appended, tokens),
        lengths=length + grows,
        blank=jnp.where(grows, -jnp.inf, stays_blank[parent]),
        label=jnp.where(grows, totals[places], stays_label[parent]),
    )
