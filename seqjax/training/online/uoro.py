"""Unbiased online recurrent optimisation: the influence as one random product of two vectors."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from seqjax.training.online.rule import Probe, Rule, Transition
from seqjax.types import Array, Key, Params


class RankOne(NamedTuple):
    """An influence of rank one.

    Attributes:
      state: `[N]`.
      params: `[P]` for each array of the params.
    """

    state: Array
    params: list[Array]


def uoro() -> Rule:
    """Unbiased online recurrent optimisation (Tallec & Ollivier, 2018, section 3 and algorithm 1).

    Equations: `S_t` is kept as `s u'` with `s[N]`, `u[P]`, and random signs `v[N]` at each step:
    `s' = r_0 J s + r_1 v`, `u' = u / r_0 + F' v / r_1`. Its mean over the signs is the exact influence, for
    any `r_0` and `r_1` that do not depend on the sign of `v`; `r_0^2 = |u| / |J s|`, `r_1^2 = |F' v| / |v|`
    make its variance small. Memory and work are those of one step and its gradient. The gradient has the
    right mean and a large variance, which grows with the carry: small learning rates, many rows.

    Returns:
      A `Rule`.

    Example:
      >>> uoro().begin(None, {"bias": jnp.zeros(3)}, 2).state.shape
      (2,)
    """
    return Rule(plan=_plan, begin=_begin, pull=_pull, advance=_advance)


def _plan(probe: Probe) -> None:
    del probe


def _begin(plan: None, params: Params, size: int) -> RankOne:
    leaves = jax.tree.leaves(params)
    vectors = [jnp.zeros((leaf.size,), jnp.promote_types(leaf.dtype, jnp.float32)) for leaf in leaves]
    return RankOne(state=jnp.zeros((size,), jnp.result_type(*vectors)), params=vectors)


def _pull(plan: None, influence: RankOne, cotangent: Array) -> list[Array]:
    weight = jnp.vdot(cotangent, influence.state, precision="highest")
    return [weight * vector for vector in influence.params]


def _advance(
    plan: None, key: Key, influence: RankOne, transition: Transition, params: Params, state: Array
) -> RankOne:
    signs = jax.random.rademacher(key, state.shape, state.dtype)
    tangent = influence.state.astype(state.dtype)
    _, moved = jax.jvp(lambda state: transition(params, state), (state,), (tangent,))
    _, pull = jax.vjp(lambda params: transition(params, state), params)
    direct = [leaf.reshape(-1) for leaf in jax.tree.leaves(pull(signs)[0])]
    old = _ratio(_norm(influence.params), _norm([moved]))
    new = _ratio(_norm(direct), _norm([signs]))
    return RankOne(
        state=(old * moved + new * signs).astype(influence.state.dtype),
        params=[
            (vector / old + d / new).astype(vector.dtype)
            for vector, d in zip(influence.params, direct, strict=True)
        ],
    )


def _norm(vectors: list[Array]) -> Array:
    return jnp.sqrt(sum(jnp.sum(vector * vector) for vector in vectors))


def _ratio(above: Array, below: Array) -> Array:
    """The root of the ratio of two norms; one where either is zero, and any number will do."""
    good = (above > 0) & (below > 0)
    return jnp.sqrt(jnp.where(good, above, 1) / jnp.where(good, below, 1))
