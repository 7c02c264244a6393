"""Which numbers of the carry a parameter can influence: found by trial, and made into few rows."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.training.online.rule import Probe
from seqjax.types import Array, Params, PyTree

TRIALS = 16
"""Points at which derivatives are tried: that one is zero by chance at all of them does not happen."""


class Pattern(NamedTuple):
    """Where the influence of one array of the params may differ from zero.

    Attributes:
      groups: `[C, N]` zeros and ones: numbers of the carry of which no parameter influences two.
      places: `[C, P]`, which number of its group each parameter influences; `N` where none. `None` where all
        numbers are kept apart, `C = N`.
      mask: `[N, P]` booleans, what is kept, where `places` is `None` and not all is; else `None`.
    """

    groups: np.ndarray
    places: np.ndarray | None
    mask: np.ndarray | None


def patterns(probe: Probe, reach: int | None) -> tuple[Pattern, ...]:
    """For each array of the params the numbers of the carry that it influences within some steps.

    Derivatives of one step are computed at random points; an entry that is zero at all of them is zero. Of
    tokens only one is tried: parameters that then influence nothing are taken to influence all that the
    others of their array do.

    Args:
      probe: the network.
      reach: within how many steps; `None` for any number.

    Returns:
      One `Pattern` for each leaf of the params.

    Example:
      >>> def transition(params, state, x, reset):
      ...     return params["decay"] * state + x
      >>> shape = jax.ShapeDtypeStruct((3,), jnp.float32)
      >>> (found,) = patterns(Probe(transition, {"decay": shape}, 3, shape), 1)
      >>> found.groups.tolist(), found.places.tolist()  # each parameter has a number of its own
      ([[1.0, 1.0, 1.0]], [[0, 1, 2]])
    """
    direct, onward = _tried(probe)
    has_tokens = any(jnp.issubdtype(leaf.dtype, jnp.integer) for leaf in jax.tree.leaves(probe.x))
    found = []
    for seen in direct:
        reached = seen
        if has_tokens:
            reached = np.where(seen.any(0), seen, seen.any(1, keepdims=True))
        for _ in range(probe.size if reach is None else reach - 1):
            further = reached | ((onward.astype(np.float32) @ reached.astype(np.float32)) > 0)
            if (further == reached).all():
                break
            reached = further
        found.append(_grouped(reached))
    return tuple(found)


def _tried(probe: Probe) -> tuple[list[np.ndarray], np.ndarray]:
    """Where the derivatives of a step by the params, `[N, P]` a leaf, and by the carry differ from zero."""
    generator = np.random.default_rng(0)

    def draw(shape: jax.ShapeDtypeStruct) -> np.ndarray:
        if not jnp.issubdtype(shape.dtype, jnp.floating):
            return np.zeros(shape.shape, shape.dtype)
        return generator.normal(size=shape.shape).astype(shape.dtype)

    @jax.jit
    def derivatives(params: Params, state: Array, x: PyTree, reset: Array) -> tuple[list[Array], Array]:
        _, pull = jax.vjp(lambda params, state: probe.transition(params, state, x, reset), params, state)

        def row(direction: Array) -> tuple[list[Array], Array]:
            by_params, by_state = pull(direction)
            return [leaf.reshape(-1) != 0 for leaf in jax.tree.leaves(by_params)], by_state != 0

        return jax.lax.map(row, jnp.eye(probe.size, dtype=state.dtype))

    direct: list[np.ndarray] = []
    onward = np.zeros((probe.size, probe.size), bool)
    dtype = jnp.result_type(float)
    with jax.ensure_compile_time_eval():
        for trial in range(TRIALS):
            params, x = jax.tree.map(draw, (probe.params, probe.x))
            state = draw(jax.ShapeDtypeStruct((probe.size,), dtype))
            by_params, by_state = jax.device_get(derivatives(params, state, x, np.array(trial % 4 == 0)))
            direct = [old | new for old, new in zip(direct, by_params, strict=True)] if direct else by_params
            onward |= by_state
    return direct, onward


def _grouped(reached: np.ndarray) -> Pattern:
    """Numbers of the carry that share no parameter go into one group, first come, first served."""
    size = len(reached)
    kept = reached.astype(np.float32)
    shared = (kept @ kept.T) > 0
    group = np.full(size, -1)
    for number in range(size):
        if not reached[number].any():
            continue
        taken = {int(g) for g in group[:number][shared[number, :number]]}
        group[number] = min(set(range(size)) - taken)
    count = int(group.max(initial=-1)) + 1
    if 2 * count > size:
        mask = None if reached.all() else reached
        return Pattern(np.eye(size, dtype=np.float32), None, mask)
    groups = np.equal.outer(np.arange(count), group)
    places = np.full((count, reached.shape[1]), size, np.int32)
    for used in np.flatnonzero(group >= 0):
        places[group[used], reached[used]] = used
    return Pattern(groups.astype(np.float32), places, None)
