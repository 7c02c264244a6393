"""Learning hidden Markov models where the states are known, by counting."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import ops
from seqjax.checks import as_array, check_size
from seqjax.statespace.hmm.arguments import check_emission, checked_observations, checked_pseudo_counts
from seqjax.statespace.hmm.emissions.categorical import log_frequencies
from seqjax.statespace.hmm.emissions.emission import Emission
from seqjax.statespace.hmm.params import HMMParams
from seqjax.types import Array, Params


def fit_supervised(
    emission: Emission,
    ys: Any,
    states: Any,
    *,
    lengths: Any = None,
    observed: Any = None,
    emission_params: Params | None = None,
    num_iterations: int = 1,
    initial_pseudo_count: Any = 0.0,
    transition_pseudo_count: Any = 0.0,
) -> tuple[HMMParams, Params]:
    """Learns from sequences whose states are known, by counting.

    Equations: `initial_k = (n_k + c_k) / sum`, `transition_ij = (n_ij + c_ij) / sum_j`, with `n_k` how many
    sequences start in `k`, and `n_ij` how many steps lead from `i` to `j`; and the emission's `maximize` with
    weight one for the known state.

    Args:
      emission: as a factory such as `hmm.categorical` returns it, with its prior.
      ys: observations `[T, *B, ...]`.
      states: `[T, *B]` integers from 0 to `K - 1`; not read where `ys` is padding.
      lengths: `[*B]` integers, or `None`.
      observed: `[T, *B]` booleans, or `None`: where false, the state counts, and `ys` does not.
      emission_params: a start, which matters for states that do not occur and for mixtures; `None` for
        `emission.init` with a key of its own.
      num_iterations: how often to maximise the emission. All but mixtures are done after one.
      initial_pseudo_count: a number or `[K]`.
      transition_pseudo_count: a number or `[K, K]`.

    Returns:
      `(params, emission_params)`.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a shape or value is wrong, or, outside of `jit`, a state is never left and has no
        pseudo-counts. Under `jit` a state that does not exist makes the result NaN, and a state that is never
        left has an even row.

    Example:
      >>> from seqjax.statespace import hmm
      >>> ys, states = jnp.array([0, 0, 1, 1, 0]), jnp.array([0, 0, 1, 1, 0])
      >>> chain, emission_params = hmm.fit_supervised(hmm.categorical(2, 2), ys, states)
      >>> chain.transition.round(2).tolist(), emission_params.probabilities.tolist()
      ([[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]])
    """
    check_emission(emission)
    check_size("num_iterations", num_iterations)
    ys, lengths, observed = checked_observations(emission, ys, lengths, observed)
    states, factor = _checked_states(states, emission.num_states, jax.tree.leaves(ys)[0].shape, lengths)
    if emission_params is None:
        emission_params = emission.init(jax.random.key(0), ys, lengths, observed)
    counts = checked_pseudo_counts(emission.num_states, initial_pseudo_count, transition_pseudo_count)
    params, emission_params, leaving = _count(
        emission, int(num_iterations), emission_params, ys, states, factor, observed, counts
    )
    if not isinstance(leaving, jax.core.Tracer):
        for state in np.flatnonzero(np.asarray(leaving) == 0)[:1]:
            raise ValueError(
                f"states is never {state} before another step, so that nothing is known of the transitions "
                f"from it. Give transition_pseudo_count, or fewer states."
            )
    return params, emission_params


def _checked_states(
    states: Any, num_states: int, axes: tuple[int, ...], lengths: Array | None
) -> tuple[Array, Array]:
    """States from 0 to `K - 1`, and a factor: 1, 0 at padding, NaN where there is no such state."""
    array = as_array("states", states)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"states has dtype {array.dtype}, expected integers.")
    if array.ndim < 1 or array.shape != axes[: array.ndim]:
        raise ValueError(
            f"states has shape {array.shape}, expected the time and batch axes of ys, of shape {axes}."
        )
    array = array.astype(jnp.int32)
    mask = None if lengths is None else ops.length_mask(lengths, len(array))
    known = (array >= 0) & (array < num_states)
    wrong = ~known if mask is None else mask & ~known
    if not isinstance(wrong, jax.core.Tracer):
        for where in np.argwhere(np.asarray(wrong))[:1]:
            place = tuple(int(i) for i in where)
            raise ValueError(
                f"states has the value {np.asarray(array)[place]} at {place}, expected states from 0 to "
                f"{num_states - 1}."
            )
    factor = jnp.where(known, 1, jnp.nan).astype(ops.default_dtype())
    return jnp.where(known, array, 0), factor if mask is None else jnp.where(mask, factor, 0)


@partial(jax.jit, static_argnums=(0, 1))
def _count(
    emission: Emission,
    num_iterations: int,
    emission_params: Params,
    ys: Any,
    states: Array,
    factor: Array,
    observed: Array | None,
    counts: tuple[Array, Array],
) -> tuple[HMMParams, Params, Array]:
    """`fit_supervised` after its arguments were looked at, and the counts of transitions from each state."""
    num_states, dtype = emission.num_states, counts[0].dtype
    first = _summed(states[:1], factor[:1], num_states)
    pairs, both = states[:-1] * num_states + states[1:], factor[:-1] * factor[1:]
    expected = _summed(pairs, both, num_states**2).reshape(num_states, num_states)
    even = jnp.zeros((num_states,), dtype)
    params = HMMParams(
        initial_logits=log_frequencies(even, first, counts[0]),
        transition_logits=log_frequencies(jnp.zeros_like(expected), expected, counts[1]),
    )
    read = factor if observed is None else jnp.where(observed, factor, 0)
    weights = jax.nn.one_hot(states, num_states, dtype=dtype) * read[..., None]
    emission_params = jax.lax.fori_loop(
        0, num_iterations, lambda _, found: emission.maximize(found, ys, weights), emission_params
    )
    return params, emission_params, jnp.sum(expected + counts[1], axis=-1)


def _summed(index: Array, values: Array, size: int) -> Array:
    """How often each index occurs with the value one, counted in integers; NaN if a value is."""
    ones = (values == 1).astype(jnp.int32)
    counts = jnp.zeros((size,), jnp.int32).at[index.reshape(-1)].add(ones.reshape(-1))
    return jnp.where(jnp.any(jnp.isnan(values)), jnp.nan, counts.astype(values.dtype))
