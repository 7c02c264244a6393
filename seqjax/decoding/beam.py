"""Beam search: the most probable sequences that a task can write, or nearly so."""

from __future__ import annotations

import math
import numbers
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import check_size, shown
from seqjax.decoding.arguments import check_end, check_exist, check_steps, check_task, checked_prompt
from seqjax.tasks import Task
from seqjax.tasks.heads import CategoricalPrediction
from seqjax.types import Array, Carry, Params, PyTree


@struct.dataclass
class Beams:
    """The best sequences that were found, best first.

    Attributes:
      tokens: `[T', N, *B]` int32; after its end token, a sequence holds that token to the last.
      lengths: `[N, *B]` int32, the tokens before the end token; `T'` where there is none.
      scores: `[N, *B]`, log-probabilities in nats, divided by the length penalty; minus infinity where fewer
        than `N` sequences were found.
      log_probabilities: `[N, *B]`, the same undivided.
      num_steps: `[]` int32, how many steps were taken before no open sequence could win.
    """

    tokens: Array
    lengths: Array
    scores: Array
    log_probabilities: Array
    num_steps: Array


def beam(
    task: Task,
    params: Params,
    prompt: PyTree,
    *,
    width: int,
    num_steps: int,
    end: int,
    num_best: int = 1,
    length_penalty: float = 0.0,
    lengths: Any = None,
    carry: Carry | None = None,
) -> Beams:
    """Searches for the sequences of the highest score, `width` open ones at a time.

    Equations: each step extends every open sequence by every token and keeps the `width` best by
    log-probability. Those that end with the end token leave the beam, and the others stay open. What is found
    is compared by `score = log p(y) / ((5 + n) / 6)^length_penalty` with the `n` tokens of `y`, its end token
    included (Wu et al., 2016, eq. 14). A sequence that is open after `num_steps` counts as it is.

    The search stops where no open sequence can win: each has a score, at any length that it may still reach,
    that is no better than the `num_best`-th one found. Width 1 is greedy search. A width that holds all
    sequences gives the best of them all.

    A row is searched by itself, and found the same in any batch.

    Args:
      task: a task over tokens with a step.
      params: its params.
      prompt: what `task.start` reads: `[T, *B, D]`, tokens `[T, *B]`, or without time.
      width: how many sequences are open at a time, at most.
      num_steps: `T'`, the longest sequence, its end token included.
      end: the end token.
      num_best: `N`, how many sequences to return.
      length_penalty: 0 compares log-probabilities, which favours short sequences; 1 nearly means a token.
      lengths: `[*B]` integers, the valid steps of each prompt; `None` where all have `T`.
      carry: the carry before the prompt, or `None`.

    Returns:
      `Beams`.

    Raises:
      TypeError: if an argument is of another type, or the task does not predict tokens.
      ValueError: if an argument is out of range, or the task has no step.
      FloatingPointError: if a prediction is NaN. Under `jit`, where none can be raised, the tokens of that
        row are -1 and its scores NaN.

    Example:
      >>> import seqjax as sj
      >>> task = sj.tasks.synced(sj.stack(sj.embed(9, 4), sj.gru(8)), sj.heads.categorical(9))
      >>> params = task.init(jax.random.key(0), 1)
      >>> beams = beam(task, params, jnp.array([[5, 6]]), width=4, num_steps=3, end=0, num_best=2)
      >>> beams.tokens.shape, bool((beams.scores[0] >= beams.scores[1]).all())
      ((3, 2, 2), True)
    """
    check_task(task)
    check_size("width", width)
    check_size("num_best", num_best)
    num_steps = check_steps(num_steps)
    check_end(end)
    if end is None:
        raise TypeError("end is None, expected a token: beam search compares sequences that have ended.")
    if isinstance(length_penalty, bool) or not isinstance(length_penalty, numbers.Real):
        raise TypeError(f"length_penalty is {shown(length_penalty, typed=True)}, expected a number.")
    if not math.isfinite(float(length_penalty)):
        raise ValueError(f"length_penalty is {length_penalty}, expected a finite number.")
    prompt, lengths = checked_prompt(prompt, lengths)
    options = _Options(int(width), num_steps, int(end), int(num_best))
    beams = _search(task, options, params, prompt, lengths, carry, float(length_penalty))
    check_exist(beams.tokens)
    return beams


class _Options(NamedTuple):
    width: int
    num_steps: int
    end: int
    num_best: int


@struct.dataclass
class _Open:
    """Sequences that have not ended: `[K, *B]` log-probabilities, minus infinity where there is none."""

    tokens: Array  # [T', K, *B]
    log_probabilities: Array
    carry: Carry  # [K, *B, ...]
    logits: Array  # [K, *B, V], of the next token


@struct.dataclass
class _Found:
    """The best that have ended, best first: `[N, *B]`, scores minus infinity where there is none."""

    tokens: Array  # [T', N, *B]
    scores: Array
    log_probabilities: Array


@partial(jax.jit, static_argnums=(0, 1))
def _search(
    task: Task,
    options: _Options,
    params: Params,
    prompt: PyTree,
    lengths: Array | None,
    carry: Carry | None,
    length_penalty: Array,
) -> Beams:
    carry, prediction = task.start(params, prompt, lengths=lengths, carry=carry)  # type: ignore[misc]
    if not isinstance(prediction, CategoricalPrediction):
        raise TypeError(
            f"task predicts a {type(prediction).__name__}, but beam search is for tokens: give it a "
            f"categorical head."
        )
    _check_vocabulary(prediction.logits.shape[-1], options.end)
    open_, found = _beginning(options, carry, prediction.logits)
    touched = _touched(task, params, open_.carry, open_.tokens[0])

    def unfinished(loop: tuple[Array, _Open, _Found, Array]) -> Array:
        step, open_, found, lost = loop
        hope = _best_hope(open_.log_probabilities, step, options.num_steps, length_penalty)
        can_win = (hope > found.scores[-1]) & ~lost
        return (step < options.num_steps) & can_win.any()

    def body(loop: tuple[Array, _Open, _Found, Array]) -> tuple[Array, _Open, _Found, Array]:
        step, open_, found, lost = loop
        alive = open_.log_probabilities > -jnp.inf
        lost = lost | (alive & ~jnp.isfinite(jax.nn.logsumexp(open_.logits, axis=-1))).any(axis=0)
        parents, tokens, log_probabilities = _extensions(options, open_)
        written = _of_parents(open_.tokens, parents, 1).at[step].set(tokens)
        ended = (tokens == options.end) | (step + 1 == options.num_steps)
        score = jnp.where(ended, log_probabilities / _penalty(step + 1, length_penalty), -jnp.inf)
        found = _merged(options, found, _Found(written, score, log_probabilities))
        remaining = jnp.where(ended, -jnp.inf, log_probabilities)
        carry = jax.tree.map(
            lambda leaf, changes: _of_parents(leaf, parents, 0) if changes else leaf, open_.carry, touched
        )
        carry, prediction = task.step(params, carry, tokens)  # type: ignore[misc]
        open_ = _Open(written, remaining, carry, prediction.logits)
        return step + 1, open_, found, lost

    nowhere = jnp.zeros(prediction.labels.shape, bool)
    loop = jax.lax.while_loop(unfinished, body, (jnp.int32(0), open_, found, nowhere))
    return _result(options, loop[0], loop[2], loop[3])


def _beginning(options: _Options, carry: Carry, logits: Array) -> tuple[_Open, _Found]:
    """One open sequence without tokens, in a beam of `K` places."""
    width, num_steps, end, num_best = options
    batch_shape = logits.shape[:-1]

    def tiled(leaf: Array) -> Array:
        return jnp.broadcast_to(leaf, (width, *leaf.shape))

    start = jnp.full((width, *batch_shape), -jnp.inf, logits.dtype).at[0].set(0)
    open_ = _Open(
        tokens=jnp.full((num_steps, width, *batch_shape), end, jnp.int32),
        log_probabilities=start,
        carry=jax.tree.map(tiled, carry),
        logits=tiled(logits),
    )
    nothing = jnp.full((num_best, *batch_shape), -jnp.inf, logits.dtype)
    tokens = jnp.full((num_steps, num_best, *batch_shape), end, jnp.int32)
    return open_, _Found(tokens=tokens, scores=nothing, log_probabilities=nothing)


def _extensions(options: _Options, open_: _Open) -> tuple[Array, Array, Array]:
    """The `K` most probable extensions of a row: the place of their parents, tokens, log-probabilities."""
    log_probabilities = open_.log_probabilities[..., None] + jax.nn.log_softmax(open_.logits)
    # Where there is no sequence there is no extension, whatever the logits are.
    absent = open_.log_probabilities[..., None] == -jnp.inf
    together = jnp.moveaxis(jnp.where(absent, -jnp.inf, log_probabilities), 0, -2)
    size = together.shape[-1]
    together = together.reshape(*together.shape[:-2], -1)
    best, places = jax.lax.top_k(together, min(options.width, together.shape[-1]))
    missing = options.width - best.shape[-1]
    pad = [(0, 0)] * (best.ndim - 1) + [(0, missing)]
    best, places = jnp.pad(best, pad, constant_values=-jnp.inf), jnp.pad(places, pad)
    best, places = jnp.moveaxis(best, -1, 0), jnp.moveaxis(places, -1, 0)
    return places // size, (places % size).astype(jnp.int32), best


def _touched(task: Task, params: Params, carry: Carry, tokens: Array) -> PyTree:
    """Which arrays of a carry a step changes.

    What it hands on as it is, such as an encoded sequence, is the same in all places of a beam: it need not
    be copied from parents to children at every step.
    """
    seen = []

    def look(carry: Carry) -> Carry:
        after, _ = task.step(params, carry, tokens)  # type: ignore[misc]
        seen.append(jax.tree.map(lambda before, after: after is not before, carry, after))
        return after

    jax.eval_shape(look, carry)
    return seen[0]


def _of_parents(leaf: Array, parents: Array, axis: int) -> Array:
    """Places of a beam along `axis`, chosen by `parents[K, *B]`."""
    index = parents.reshape((1,) * axis + parents.shape)
    return jnp.take_along_axis(leaf, ops.expand_like(index, leaf), axis=axis)


def _merged(options: _Options, found: _Found, ended: _Found) -> _Found:
    """The best of what was found before and what has ended now; earlier ones first where scores are equal."""
    scores = jnp.moveaxis(jnp.concatenate([found.scores, ended.scores]), 0, -1)
    best, places = jax.lax.top_k(scores, options.num_best)
    best, places = jnp.moveaxis(best, -1, 0), jnp.moveaxis(places, -1, 0)
    tokens = jnp.concatenate([found.tokens, ended.tokens], axis=1)
    log_probabilities = jnp.concatenate([found.log_probabilities, ended.log_probabilities])
    return _Found(
        tokens=_of_parents(tokens, places, 1),
        scores=best,
        log_probabilities=_of_parents(log_probabilities, places, 0),
    )


def _penalty(num_tokens: Any, length_penalty: Array) -> Array:
    return ((5.0 + num_tokens) / 6.0) ** length_penalty


def _best_hope(log_probabilities: Array, step: Array, num_steps: int, length_penalty: Array) -> Array:
    """The best score `[*B]` that an open sequence can still reach: no further token is more than certain."""
    best = jnp.max(log_probabilities, axis=0)
    soon, late = _penalty(step + 1, length_penalty), _penalty(num_steps, length_penalty)
    return jnp.maximum(best / soon, best / late)


def _result(options: _Options, step: Array, found: _Found, lost: Array) -> Beams:
    tokens = jnp.where(lost, -1, found.tokens)
    lengths = jnp.sum(jnp.cumprod((tokens != options.end).astype(jnp.int32), axis=0), axis=0, dtype=jnp.int32)
    absent = found.scores == -jnp.inf
    return Beams(
        tokens=jnp.where(absent & ~lost, options.end, tokens),
        lengths=jnp.where(absent, 0, lengths),
        scores=jnp.where(lost, jnp.nan, found.scores),
        log_probabilities=jnp.where(lost, jnp.nan, jnp.where(absent, -jnp.inf, found.log_probabilities)),
        num_steps=step,
    )


def _check_vocabulary(size: int, end: int) -> None:
    if end >= size:
        raise ValueError(f"end is {end}, expected a token from 0 to {size - 1}: the head has {size} classes.")
