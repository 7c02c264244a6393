"""Lyapunov exponents: how fast trajectories that begin next to each other part or meet."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax.cell import Cell
from seqjax.checks import check_size, shown
from seqjax.ops import small_matrices
from seqjax.ops.rows import Rows
from seqjax.types import Array, Carry, Params
from seqjax.unroll import Backend, checked_xs, sequence_shape, unroll


@struct.dataclass
class LyapunovSpectrum:
    """The exponents, and what they are averages of.

    Attributes:
      exponents: `[*B, K]`, the largest first, in nats a step; -inf for a direction that is lost.
      stretches: `[T, *B, K]`, the logarithm by which each step stretched each direction.
    """

    exponents: Array
    stretches: Array


def lyapunov_spectrum(
    cell: Cell,
    params: Params,
    xs: Any,
    *,
    carry: Carry | None = None,
    num_exponents: int | None = None,
    transient: int = 0,
) -> LyapunovSpectrum:
    """The Lyapunov exponents of a cell along a trajectory, by the QR method (Benettin et al., 1980).

    Equations: `J_t Q_{t-1} = Q_t R_t` with orthonormal columns of `Q`, and the exponent of direction `i` is
    the mean over time of `log R_t[i, i]`. Each step takes one derivative in forward mode for each direction,
    and the carry's Jacobian is never formed. A positive exponent says that the network is chaotic on these
    inputs, and that gradients through it explode; one of `-1/tau`, that they vanish over `tau` steps
    (Engelken et al., 2023; Vogt et al., 2022).

    Args:
      cell: any cell.
      params: its params.
      xs: `[T, *B, D]`; exponents are of the limit of many steps.
      carry: the carry before the first step, or `None` for the initial one.
      num_exponents: `K`, how many of the largest; `None` for all `N`.
      transient: so many steps at the beginning, over which directions align, are left out of the mean.

    Returns:
      A `LyapunovSpectrum`, each row of the batch by itself.

    Raises:
      ValueError: if there are no steps, `num_exponents` exceeds `N` or `transient` the steps, or as
        `seqjax.unroll`.
      TypeError: as `seqjax.unroll`.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.irnn(2, initial_carry="zeros")  # starts as the identity, which parts nothing
      >>> params = cell.init(jax.random.key(0), 3)
      >>> lyapunov_spectrum(cell, params, jnp.zeros((5, 3)), carry=jnp.ones(2)).exponents.tolist()
      [0.0, 0.0]
    """
    num_steps, _ = sequence_shape(checked_xs(xs))
    if num_exponents is not None:
        check_size("num_exponents", num_exponents)
    if isinstance(transient, bool) or not isinstance(transient, int) or not 0 <= transient < num_steps:
        raise ValueError(
            f"transient is {shown(transient)}, expected an integer from 0 to {num_steps - 1}: xs has "
            f"{num_steps} steps."
        )
    stretches = unroll(cell, params, xs, carry=carry, method=_stretching(num_exponents))[1]
    exponents = jnp.mean(stretches[transient:], 0)
    return LyapunovSpectrum(exponents=-jnp.sort(-exponents, -1), stretches=stretches)


@lru_cache(maxsize=16)
def _stretching(num_exponents: int | None) -> Backend:
    """A backend that puts out the logarithm by which each step stretches each direction, `[T, *B, K]`."""

    def run(cell: Cell, params: Params, carry: Carry, xs: Any) -> tuple[Carry, Array]:
        num_axes = jax.tree.leaves(xs)[0].ndim - 2
        rows = Rows.of(carry, num_axes)
        count = rows.size if num_exponents is None else num_exponents
        if count > rows.size:
            raise ValueError(f"num_exponents is {count}, expected at most {rows.size}, the carry's numbers.")

        def step(state: tuple[Carry, Array], x: Any) -> tuple[tuple[Carry, Array], Array]:
            carry, directions = state

            def after(flat: Array) -> tuple[Array, Carry]:
                carry, _ = cell.step(params, rows.tree(flat), x)
                return rows.flat(carry), carry

            _, derivative, carry = jax.linearize(after, rows.flat(carry), has_aux=True)
            moved = jnp.moveaxis(jax.vmap(derivative)(directions), -1, 1)  # [K, N, *B]: rows of matrices
            factor, directions = small_matrices.orthogonalize(moved, in_a_loop=True)
            stretch = jnp.log(jnp.diagonal(factor))  # [*B, K]
            return (carry, jnp.moveaxis(directions, 1, -1)), stretch

        flat = rows.flat(carry)
        identity = jnp.eye(count, rows.size, dtype=flat.dtype)
        identity = identity.reshape(count, *(1,) * num_axes, rows.size)
        start = jnp.broadcast_to(identity, (count, *flat.shape))
        (carry, _), stretches = jax.lax.scan(step, (carry, start), xs)
        return carry, stretches

    return run
