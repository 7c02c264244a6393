"""Real-time recurrent learning, exact or kept sparse: the influence of each parameter on the carry."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqjax.checks import check_size
from seqjax.training.online.pattern import Pattern, patterns
from seqjax.training.online.rule import Probe, Rule, Transition
from seqjax.types import Array, Key, Params

Plan = tuple[Pattern, ...]
Influence = list[Array]
"""For each array of the params `[C, P]`: the influence on the numbers of each group."""


def rtrl() -> Rule:
    """Real-time recurrent learning (Williams & Zipser, 1989): the exact gradient, forward in time.

    Equation: `S_t = J_t S_{t-1} + F_t`, all of it. Entries that are zero whatever the inputs are not kept:
    where each parameter influences one number of the carry alone, as in a diagonal linear recurrence, memory
    and work are those of the params (Zucchet et al., 2023). Else `S` has `N P` numbers a row for `P` params,
    and a step takes `N^2 P` multiplications: for small cells.

    With `seqjax.transforms`' `cut_feedback` around each cell of the network it is eligibility propagation
    (Bellec et al., 2020, eqs. 1-4): the gradient without the ways through recurrent kernels, whose influence
    is as small as the params where gates are elementwise.

    Returns:
      A `Rule`.

    Example:
      >>> rtrl().plan.__name__
      'plan'
    """
    return _kept(None)


def snap(steps: int = 1) -> Rule:
    """Sparse `n`-step approximation of real-time recurrent learning (Menick et al., 2021, section 3).

    Equation: `S_t = M * (J_t S_{t-1} + F_t)`, with `M` where a parameter reaches a number of the carry within
    `n` steps. With one step that is what it writes itself: memory is that of the params for each number of a
    unit's carry. More steps are nearer to exact, and with dense recurrent kernels two are all.

    Here the last step is differentiated exactly, where the paper masks it too.

    Args:
      steps: `n`.

    Returns:
      A `Rule`.

    Raises:
      ValueError: if `steps` is not positive.
      TypeError: if it is not an integer.

    Example:
      >>> snap(0)
      Traceback (most recent call last):
      ValueError: steps is 0, expected a positive integer.
    """
    check_size("steps", steps)
    return _kept(steps)


def _kept(reach: int | None) -> Rule:
    def plan(probe: Probe) -> Plan:
        return patterns(probe, reach)

    return Rule(plan=plan, begin=_begin, pull=_pull, advance=_advance)


def _begin(plan: Plan, params: Params, size: int) -> Influence:
    leaves = jax.tree.leaves(params)
    return [
        jnp.zeros((len(pattern.groups), leaf.size), jnp.promote_types(leaf.dtype, jnp.float32))
        for pattern, leaf in zip(plan, leaves, strict=True)
    ]


def _pull(plan: Plan, influence: Influence, cotangent: Array) -> Influence:
    padded = jnp.append(cotangent, 0)
    return [
        jnp.matmul(cotangent, kept, precision="highest")
        if pattern.places is None
        else jnp.sum(padded[pattern.places] * kept, 0)
        for pattern, kept in zip(plan, influence, strict=True)
    ]


def _advance(
    plan: Plan, key: Key, influence: Influence, transition: Transition, params: Params, state: Array
) -> Influence:
    del key
    leaves, structure = jax.tree.flatten(params)
    _, onward = jax.linearize(lambda state: transition(params, state), state)
    jacobian = jax.vmap(onward, out_axes=-1)(jnp.eye(state.size, dtype=state.dtype))
    _, pull = jax.vjp(lambda leaves: transition(jax.tree.unflatten(structure, leaves), state), leaves)
    after = []
    for index, (pattern, kept) in enumerate(zip(plan, influence, strict=True)):
        groups = jnp.asarray(pattern.groups, state.dtype)
        # One derivative a group gives that of each of its numbers: no parameter reaches two.
        direct = jax.vmap(lambda group, index=index: pull(group)[0][index])(groups)
        after.append(_one(pattern, jacobian, kept, direct.reshape(kept.shape).astype(kept.dtype)))
    return after


def _one(pattern: Pattern, jacobian: Array, kept: Array, direct: Array) -> Array:
    """`M * (J S + F)` for one array of the params."""
    if pattern.places is None:
        after = jnp.matmul(jacobian, kept, precision="highest") + direct
        return after if pattern.mask is None else jnp.where(pattern.mask, after, 0)
    padded = jnp.pad(jacobian, ((0, 1), (0, 1)))
    after = direct
    for group, places in enumerate(pattern.places):
        after += padded[pattern.places, places] * kept[group]
    return after
