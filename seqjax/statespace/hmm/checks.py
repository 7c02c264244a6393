"""The arguments that all inference in hidden Markov models shares, looked at before anything is computed."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.checks import as_array, kind_of, shown
from seqjax.ops import markov
from seqjax.ops.chain import Chain, chain
from seqjax.statespace.hmm.params import HMMParams
from seqjax.types import Array
from seqjax.unroll import checked_lengths


class Arguments(NamedTuple):
    """What inference reads, as arrays of one dtype.

    Attributes:
      initial: logits `[K]` or `[*B, K]`.
      transition: logits `[K, K]` or `[T, *B, K, K]`.
      scores: `[T, *B, K]`.
      lengths: `[*B]` integers, or `None`.
      carry: `[*B, K]` log-probabilities in place of `initial`, or `None`.
    """

    initial: Array
    transition: Array
    scores: Array
    lengths: Array | None
    carry: Array | None


def checked_arguments(params: Any, log_likelihoods: Any, lengths: Any, carry: Any, method: Any) -> Arguments:
    """The arguments as arrays, after a look at them.

    Args:
      params: the argument of that name.
      log_likelihoods: `[T, *B, K]`.
      lengths: `[*B]` integers, or `None`.
      carry: `[*B, K]`, or `None`.
      method: `"scan"` or `"associative"`.

    Returns:
      The arrays, in at least float32.

    Raises:
      TypeError: if one is of another type.
      ValueError: if a shape or value is wrong.

    Example:
      >>> checked_arguments(HMMParams(jnp.zeros(2), jnp.zeros((2, 2))), jnp.zeros((5, 3)), None, None, "scan")
      Traceback (most recent call last):
      ValueError: log_likelihoods has shape (5, 3), expected [T, *B, 2]: params has 2 states.
    """
    check_params(params)
    if not isinstance(method, str) or method not in markov.METHODS:
        raise ValueError(f"method is {shown(method)}, expected 'scan' or 'associative'.")
    initial, transition, states = params.initial_logits, params.transition_logits, params.num_states
    scores = floating("log_likelihoods", log_likelihoods)
    if scores.ndim < 2 or scores.shape[-1] != states:
        raise ValueError(
            f"log_likelihoods has shape {scores.shape}, expected [T, *B, {states}]: params has "
            f"{states} states."
        )
    carry = None if carry is None else floating("carry", carry)
    name, start = ("params.initial_logits", initial) if carry is None else ("carry", carry)
    if not _broadcasts(start.shape, scores.shape[1:]):
        raise ValueError(
            f"{name} has shape {start.shape}, expected {scores.shape[1:]}, the batch axes and states of "
            f"log_likelihoods."
        )
    matrices = (*scores.shape, states)
    if transition.shape != (states, states) and not (
        transition.ndim == len(matrices)
        and len(transition) == len(scores)
        and _broadcasts(transition.shape, matrices)
    ):
        raise ValueError(
            f"params.transition_logits has shape {transition.shape}, expected {(states, states)}, or one "
            f"matrix a step, {matrices}."
        )
    if lengths is not None:
        lengths = checked_lengths(lengths, len(scores), scores.shape[1:-1])
    dtype = ops.accumulation_dtype(jnp.result_type(start, transition, scores))
    initial, transition, scores = (leaf.astype(dtype) for leaf in (initial, transition, scores))
    return Arguments(initial, transition, scores, lengths, None if carry is None else carry.astype(dtype))


def check_params(params: Any) -> None:
    """Refuses what is no chain.

    Args:
      params: the argument of that name.

    Raises:
      TypeError: if it is not `HMMParams`.

    Example:
      >>> check_params({})
      Traceback (most recent call last):
      TypeError: params is a dict, expected HMMParams, as hmm.params makes them.
    """
    if not isinstance(params, HMMParams):
        raise TypeError(f"params is {kind_of(params)}, expected HMMParams, as hmm.params makes them.")


def chain_of(arguments: Arguments) -> Chain:
    """The chain of potentials that checked arguments stand for.

    Args:
      arguments: of `checked_arguments`.

    Returns:
      The chain, normalised and with its padding cleared.

    Example:
      >>> fair = HMMParams(jnp.zeros(2), jnp.zeros((2, 2)))
      >>> chain_of(checked_arguments(fair, jnp.zeros((5, 2)), None, None, "scan")).initial.round(2).tolist()
      [-0.68..., -0.68...]
    """
    initial, transition, scores, lengths, carry = arguments
    # A carry is normalised already, and nothing but -inf after something impossible.
    start = jax.nn.log_softmax(initial) if carry is None else carry
    return chain(start, jax.nn.log_softmax(transition), scores, lengths)


def floating(name: str, value: Any) -> Array:
    """An array of real numbers, as floating ones.

    Args:
      name: what the caller calls it, for the error.
      value: an array, a number, or nested lists of numbers.

    Returns:
      The array.

    Raises:
      TypeError: if there is no such array.

    Example:
      >>> floating("carry", [True, False])
      Traceback (most recent call last):
      TypeError: carry is a jax array bool[2], expected real numbers.
    """
    array = as_array(name, value)
    if array.dtype == jnp.bool_ or not (
        jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)
    ):
        raise TypeError(f"{name} is {kind_of(array)}, expected real numbers.")
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(ops.default_dtype())


def _broadcasts(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether an array of a shape can stand for one of another."""
    try:
        return jnp.broadcast_shapes(shape, expected) == expected
    except ValueError:
        return False
