"""Generation: from a prompt, one target after the other, each read before the next is predicted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import check_key
from seqjax.decoding.arguments import check_end, check_exist, check_steps, check_task, checked_prompt
from seqjax.decoding.truncation import Truncation, truncated, truncation
from seqjax.tasks import Task
from seqjax.tasks.heads import CategoricalPrediction
from seqjax.types import Array, Carry, Key, Params, PyTree


def generate(
    task: Task,
    params: Params,
    prompt: PyTree,
    *,
    num_steps: int,
    key: Key | None = None,
    lengths: Any = None,
    carry: Carry | None = None,
    end: int | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
) -> Array:
    """Writes what follows a prompt, in one compiled loop.

    Equations: `carry, p_0 = task.start(prompt)`, then for each step `t`
    `x_t ~ p_t`, `carry, p_{t+1} = task.step(carry, x_t)`. Without a key, `x_t` is the most probable target
    (greedy search); with one, it is drawn, after the cuts that `truncated` lists.

    What a prompt is, the task says: the beginning of a sequence for `synced`, the inputs of the encoder for
    `many_to_many` and `one_to_many`. Any head that has samples will do: tokens, piano rolls, real numbers.

    The draws of a row depend on the key, the step and the place of the row in the batch, and not on how many
    rows or steps there are. A jitted function may call this one; as it is, it is compiled once for each task,
    set of shapes, and number of steps.

    Args:
      task: a task with a step.
      params: its params.
      prompt: what `task.start` reads: `[T, *B, D]`, tokens `[T, *B]`, or without time.
      num_steps: how many targets to write at most.
      key: a random key; `None` for the most probable targets.
      lengths: `[*B]` integers, the valid steps of each prompt; `None` where all have `T`.
      carry: the carry before the prompt, to go on from an earlier one; `None` for the initial one.
      end: the token after which a row is finished; the loop stops where all are. `None` for none.
      temperature: what logits are divided by, for tokens.
      top_k: draw from that many of the most probable tokens.
      top_p: draw from the most probable tokens that have this probability together.
      min_p: draw from the tokens of at least that share of the highest probability.

    Returns:
      `[num_steps, *B]` int32 tokens, or `[num_steps, *B, M]` numbers. After its end token, a row holds that
      token to the last; `lengths_before` counts what comes before it.

    Raises:
      TypeError: if an argument is of another type, or there are cuts or an end for what is no token.
      ValueError: if an argument is out of range, the task has no step, or there are cuts without a key.
      FloatingPointError: if a prediction is NaN. Under `jit`, where none can be raised, its token is -1.

    Example:
      >>> import seqjax as sj
      >>> task = sj.tasks.synced(sj.stack(sj.embed(9, 4), sj.gru(8)), sj.heads.categorical(9))
      >>> params = task.init(jax.random.key(0), 1)
      >>> prompt = jnp.array([[5, 6], [7, 0]])
      >>> tokens = generate(
      ...     task, params, prompt, lengths=jnp.array([2, 1]), num_steps=4, key=jax.random.key(1), top_k=3
      ... )
      >>> tokens.shape
      (4, 2)
    """
    cuts = _checked(task, key, end, temperature, top_k, top_p, min_p)
    num_steps = check_steps(num_steps)
    prompt, lengths = checked_prompt(prompt, lengths)
    written = _loop(task, num_steps, end, params, prompt, lengths, carry, key, cuts)
    check_exist(written)
    return written


def stream(
    task: Task,
    params: Params,
    prompt: PyTree,
    *,
    num_steps: int | None = None,
    key: Key | None = None,
    lengths: Any = None,
    carry: Carry | None = None,
    end: int | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
) -> Iterator[np.ndarray]:
    """Writes what `generate` writes, and gives each target as soon as it is there.

    Args:
      task: a task with a step.
      params: its params.
      prompt: what `task.start` reads.
      num_steps: how many targets to write at most; `None` for no limit.
      key: a random key; `None` for the most probable targets.
      lengths: `[*B]` integers, or `None`.
      carry: the carry before the prompt, or `None`.
      end: the token after which a row is finished; the iterator ends where all are. `None` for none.
      temperature: as for `generate`.
      top_k: as for `generate`.
      top_p: as for `generate`.
      min_p: as for `generate`.

    Returns:
      An iterator over arrays `[*B]` or `[*B, M]`.

    Raises:
      TypeError: if an argument is of another type.
      ValueError: if an argument is out of range.
      FloatingPointError: the iterator raises it if a prediction is NaN.

    Example:
      >>> import seqjax as sj
      >>> task = sj.tasks.synced(sj.stack(sj.embed(9, 4), sj.gru(8)), sj.heads.categorical(9))
      >>> params = task.init(jax.random.key(0), 1)
      >>> [token.shape for token in stream(task, params, jnp.array([5, 6]), num_steps=3)]
      [(), (), ()]
    """
    cuts = _checked(task, key, end, temperature, top_k, top_p, min_p)
    if num_steps is not None:
        num_steps = check_steps(num_steps)
    prompt, lengths = checked_prompt(prompt, lengths)

    def targets() -> Iterator[np.ndarray]:
        state = _begin(task, end, params, prompt, lengths, carry, key, cuts)
        for step in itertools.count(1):
            _, x, done = state
            check_exist(x[None], step - 1)
            yield np.asarray(x)
            if step == num_steps or (end is not None and bool(done.all())):
                return
            state = _advance(task, end, params, state, key, step, cuts)

    return targets()


def lengths_before(tokens: Any, end: int) -> Array:
    """How many tokens of each row come before its first end token.

    Args:
      tokens: `[T, *B]` integers.
      end: the end token.

    Returns:
      `[*B]` int32; `T` where there is no end token.

    Raises:
      TypeError: if `end` is not an integer.
      ValueError: if it is negative.

    Example:
      >>> lengths_before(jnp.array([[5, 5], [6, 3], [7, 3]]), 3).tolist()
      [3, 1]
    """
    check_end(end)
    open_yet = jnp.cumprod((jnp.asarray(tokens) != end).astype(jnp.int32), axis=0)
    return jnp.sum(open_yet, axis=0, dtype=jnp.int32)


def _checked(
    task: Task,
    key: Key | None,
    end: int | None,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
) -> Truncation:
    check_task(task)
    check_end(end)
    cuts = truncation(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    if key is not None:
        check_key(key)
    elif jax.tree.leaves(cuts):
        name = next(name for name, value in vars(cuts).items() if value is not None)
        raise ValueError(
            f"{name} is given, but key is None, which takes the most probable targets: pass a key, or leave "
            f"{name} out."
        )
    return cuts


State = tuple[Carry, Array, Array]
"""The carry before a target is read, that target, and which rows are finished."""


def _start(
    task: Task,
    end: int | None,
    params: Params,
    prompt: PyTree,
    lengths: Array | None,
    carry: Carry | None,
    key: Key | None,
    cuts: Truncation,
) -> State:
    carry, prediction = task.start(params, prompt, lengths=lengths, carry=carry)  # type: ignore[misc]
    x = _draw(task, prediction, key, 0, cuts)
    if not _is_token(x):
        if end is not None:
            raise TypeError(f"end is {end}, but this task predicts {x.dtype} numbers: leave end out.")
        return carry, x, jnp.zeros(x.shape[:-1], bool)
    return carry, x, jnp.zeros(x.shape, bool) if end is None else x == end


def _next(
    task: Task, end: int | None, params: Params, state: State, key: Key | None, step: Any, cuts: Truncation
) -> State:
    carry, x, done = state
    carry, prediction = task.step(params, carry, x)  # type: ignore[misc]
    drawn = _draw(task, prediction, key, step, cuts)
    if end is not None:
        drawn = jnp.where(done, end, drawn)
        done = done | (drawn == end)
    return carry, drawn, done


# Compiled once for a task and shapes: the streaming calls, and the loop of all of them.
_begin = partial(jax.jit, static_argnums=(0, 1))(_start)
_advance = partial(jax.jit, static_argnums=(0, 1))(_next)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _loop(
    task: Task,
    num_steps: int,
    end: int | None,
    params: Params,
    prompt: PyTree,
    lengths: Array | None,
    carry: Carry | None,
    key: Key | None,
    cuts: Truncation,
) -> Array:
    first = _start(task, end, params, prompt, lengths, carry, key, cuts)
    fill = 0 if end is None else end
    written = jnp.full((num_steps, *first[1].shape), fill, first[1].dtype).at[0].set(first[1])

    def unfinished(loop: tuple[Array, State, Array]) -> Array:
        step, (_, _, done), _ = loop
        return (step < num_steps) & ~(done.all() & (end is not None))

    def body(loop: tuple[Array, State, Array]) -> tuple[Array, State, Array]:
        step, state, written = loop
        state = _next(task, end, params, state, key, step, cuts)
        return step + 1, state, written.at[step].set(state[1])

    return jax.lax.while_loop(unfinished, body, (jnp.int32(1), first, written))[2]


def _draw(task: Task, prediction: PyTree, key: Key | None, step: Any, cuts: Truncation) -> Array:
    """A target of each row, from keys of their own: a row is drawn the same in any batch."""
    sample = task.head.sample
    if sample is None:
        raise ValueError("task.head has no sample, so that nothing can be drawn: choose another head.")
    if key is None:
        return sample(None, prediction)
    if jax.tree.leaves(cuts):
        if not isinstance(prediction, CategoricalPrediction):
            raise TypeError(
                f"temperature, top_k, top_p and min_p are for tokens, but this task predicts a "
                f"{type(prediction).__name__}: leave them out."
            )
        prediction = task.head.predict(truncated(prediction.logits, cuts))
    like = jax.eval_shape(lambda: sample(None, prediction))
    batch_shape = like.shape if _is_token(like) else like.shape[:-1]
    rows = math.prod(batch_shape)
    flat = jax.tree.map(lambda leaf: leaf.reshape(rows, *leaf.shape[len(batch_shape) :]), prediction)
    fold = jax.vmap(jax.random.fold_in, (None, 0))
    keys = fold(jax.random.fold_in(key, step), jnp.arange(rows))
    return jax.vmap(sample)(keys, flat).reshape(like.shape)


def _is_token(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.integer)
