"""What generation and beam search look at before they compile anything, and after they have run."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import as_array, check_size, kind_of, shown
from seqjax.tasks import Task
from seqjax.types import Array, PyTree


def check_task(task: Any) -> None:
    """Refuses what does not predict one step after the other.

    Args:
      task: the argument of that name.

    Raises:
      TypeError: if it is not a `Task`.
      ValueError: if it has no step.

    Example:
      >>> check_task("a language model")
      Traceback (most recent call last):
      TypeError: task is a str, expected a Task such as seqjax.tasks.synced(...).
    """
    if not isinstance(task, Task):
        raise TypeError(f"task is {kind_of(task)}, expected a Task such as seqjax.tasks.synced(...).")
    if task.step is None or task.start is None:
        raise ValueError(
            "task has no step: it predicts one target a sequence, or its network is bidirectional or "
            "reversed, so that outputs depend on later inputs. Decode with synced, many_to_many or "
            "one_to_many, whose decoder runs forward."
        )


def check_end(end: Any) -> None:
    """Refuses what is not a token.

    Args:
      end: the argument of that name, or `None`.

    Raises:
      TypeError: if it is not an integer.
      ValueError: if it is negative.

    Example:
      >>> check_end(-1)
      Traceback (most recent call last):
      ValueError: end is -1, expected a token: an integer of zero or more.
    """
    if end is None:
        return
    if isinstance(end, bool) or not hasattr(end, "__index__"):
        raise TypeError(f"end is {shown(end, typed=True)}, expected a token: an integer of zero or more.")
    if end < 0:
        raise ValueError(f"end is {end}, expected a token: an integer of zero or more.")


def checked_prompt(prompt: PyTree, lengths: Any) -> tuple[PyTree, Array | None]:
    """Prompt and lengths as arrays, after a look at the lengths where they have values.

    Args:
      prompt: a pytree of arrays `[T, *B, ...]`, or without time.
      lengths: `[*B]` integers, or `None`.

    Returns:
      Both, with arrays for leaves.

    Raises:
      TypeError: if a leaf of the prompt is no array, or the lengths are not integers.
      ValueError: if a length lies outside 0 to `T`.

    Example:
      >>> checked_prompt(jnp.zeros((3, 2), int), jnp.array([3, 4]))
      Traceback (most recent call last):
      ValueError: lengths has the value 4 at (1,), expected 0 to 3, the number of steps. Cut or pad prompt.
    """
    if isinstance(prompt, list):
        raise TypeError(
            "prompt is a list, expected an array with time first: jnp.asarray(prompt) for one sequence, or "
            "seqjax.data.pad(prompt) for several."
        )
    prompt = jax.tree.map(lambda leaf: as_array("prompt", leaf), prompt)
    if lengths is None:
        return prompt, None
    given, lengths = lengths, as_array("lengths", lengths)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(f"lengths has dtype {lengths.dtype}, expected integers: the steps of each row.")
    if not isinstance(given, jax.core.Tracer):
        num_steps = jax.tree.leaves(prompt)[0].shape[0]
        values = np.asarray(given)
        for where in np.argwhere((values < 0) | (values > num_steps))[:1]:
            place = tuple(int(i) for i in where)
            raise ValueError(
                f"lengths has the value {values[place]} at {place}, expected 0 to {num_steps}, the number of "
                f"steps. Cut or pad prompt."
            )
    return prompt, lengths


def check_steps(num_steps: Any) -> int:
    """The number of steps as an int.

    Args:
      num_steps: a positive integer.

    Returns:
      It.

    Raises:
      TypeError: if it is not an integer.
      ValueError: if it is not positive.

    Example:
      >>> check_steps(3)
      3
    """
    check_size("num_steps", num_steps)
    return int(num_steps)


def check_exist(targets: Array, first_step: int = 0) -> None:
    """Refuses what was drawn from NaN, where values are known.

    Args:
      targets: `[T, *B]` tokens, -1 where there is none, or `[T, *B, M]` numbers, NaN where there is none.
      first_step: the step of the first of them.

    Raises:
      FloatingPointError: if one does not exist.

    Example:
      >>> check_exist(jnp.array([[4, 5], [4, -1]]))
      Traceback (most recent call last):
      FloatingPointError: task predicts NaN at step 1 of row (1,): params or inputs are not finite, ...
    """
    if isinstance(targets, jax.core.Tracer):
        return
    values = np.asarray(targets)
    lost = np.isnan(values).any(-1) if np.issubdtype(values.dtype, np.floating) else values < 0
    for step, *row in np.argwhere(lost)[:1].tolist():
        raise FloatingPointError(
            f"task predicts NaN at step {first_step + step} of row {tuple(row)}: params or inputs are not "
            f"finite, a token lies outside the vocabulary, or the prompt of that row is empty."
        )
