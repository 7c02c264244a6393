"""How the carry of each step depends on the carry before it: Jacobians along a trajectory, and products."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax.backends.newton_iterations import linearized
from seqjax.cell import Cell, check_cell
from seqjax.checks import check_flag, shown
from seqjax.diagnostics.arguments import checked_matrices
from seqjax.ops.rows import Rows
from seqjax.ops.singular_values import singular_values
from seqjax.transforms import cut_feedback
from seqjax.types import Array, Carry, Params
from seqjax.unroll import unroll

NORMS = ("spectral", "frobenius")


@struct.dataclass
class StateJacobians:
    """How each step's carry depends on the one before, along a trajectory.

    Attributes:
      matrices: `[T, *B, N, N]`, `d h_t / d h_{t-1}`, one row a number of the carry after the step.
      carries: the carry after each step, leaves `[T, *B, ...]`.
    """

    matrices: Array
    carries: Carry


def state_jacobians(
    cell: Cell,
    params: Params,
    xs: Any,
    *,
    carry: Carry | None = None,
    lengths: Array | None = None,
    resets: Array | None = None,
    feedback: bool = True,
) -> StateJacobians:
    """The Jacobian of each step, `d h_t / d h_{t-1}`, along the trajectory that the inputs lead to.

    `h` is the carry of one row as one real vector of `N` numbers: its leaves in the pytree's order (of an
    LSTM the memory, then the hidden vector), of complex ones first the real parts, then the imaginary ones.
    The Jacobian takes `N` derivatives in forward mode, of all steps and rows at once, and `T * B * N^2`
    numbers; where those do not fit, `push_forward`, `pull_back` and `largest_singular_value` need none.

    Args:
      cell: any cell.
      params: its params.
      xs: `[T, *B, D]`, as `seqjax.unroll` takes them, like all that follow.
      carry: the carry before the first step, or `None` for the initial one.
      lengths: `[*B]`; a step at or past the length has the identity for its Jacobian.
      resets: `[T, *B]`; a step that starts anew has zeros.
      feedback: whether the way through the recurrent kernel counts. Without it (`seqjax.transforms`'
        `cut_feedback`) what is left of an LSTM is its memory times the forget gates.

    Returns:
      A `StateJacobians`.

    Raises:
      ValueError: as `seqjax.unroll`, or if a cell without structure is asked for its Jacobian without
        feedback.
      TypeError: as `seqjax.unroll`, or if `feedback` is no boolean.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.lstm(4)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> state_jacobians(cell, params, jnp.ones((7, 2, 3))).matrices.shape
      (7, 2, 8, 8)
    """
    check_cell(cell)
    check_flag("feedback", feedback)
    if not feedback:
        cell = cut_feedback(cell)
    return unroll(cell, params, xs, carry=carry, lengths=lengths, resets=resets, method=_jacobians)[1]


# What runs a cell over time may put out anything: lengths and resets have been rewritten into the cell, and
# arguments looked at, before it is called.
def _jacobians(cell: Cell, params: Params, carry: Carry, xs: Any) -> tuple[Carry, StateJacobians]:
    last, (before, after) = trajectory(cell, params, carry, xs)
    rows = Rows.of(carry, jax.tree.leaves(xs)[0].ndim - 2)

    def transition(flat: Array) -> Array:
        return rows.flat(jax.vmap(cell.step, (None, 0, 0))(params, rows.tree(flat), xs)[0])

    _, matrices = linearized(transition, rows.flat(before), dense=True)
    return last, StateJacobians(matrices=matrices, carries=after)


def trajectory(cell: Cell, params: Params, carry: Carry, xs: Any) -> tuple[Carry, tuple[Carry, Carry]]:
    """A backend that puts out the carry before and after each step.

    Args:
      cell: any cell.
      params: its params.
      carry: before the first step.
      xs: a pytree of arrays `[T, *B, ...]`.

    Returns:
      The last carry, and the carries before and after each step, leaves `[T, *B, ...]`.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.gru(2)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> before, after = unroll(cell, params, jnp.ones((5, 3)), method=trajectory)[1]
      >>> bool((before[1:] == after[:-1]).all())
      True
    """

    def step(carry: Carry, x: Any) -> tuple[Carry, tuple[Carry, Carry]]:
        after, _ = cell.step(params, carry, x)
        return after, (carry, after)

    return jax.lax.scan(step, carry, xs)


def jacobian_products(matrices: Array, pairs: Sequence[tuple[int, int]] | Array) -> Array:
    """How a carry depends on one of long before: `d h_t / d h_k` for chosen pairs.

    Equation: `d h_t / d h_k = J_t J_{t-1} ... J_{k+1}`, with `J_s = d h_s / d h_{s-1}`; the identity where
    `t = k`. The carry before the first step is `h_{-1}`.

    Args:
      matrices: `[T, *B, N, N]`, as `state_jacobians` gives them.
      pairs: `[P, 2]` integers `(t, k)` with `-1 <= k <= t < T`.

    Returns:
      `[P, *B, N, N]`.

    Raises:
      ValueError: if `pairs` has another shape, or a pair is out of range.
      TypeError: if `pairs` are not integers.

    Example:
      >>> matrices = jnp.array([[[2.0]], [[3.0]], [[5.0]]])
      >>> jacobian_products(matrices, [(2, -1), (2, 0), (1, 1)])[:, 0, 0].tolist()
      [30.0, 15.0, 1.0]
    """
    matrices = checked_matrices(matrices)
    return _products(matrices, _checked_pairs(pairs, matrices.shape[0]))


@jax.jit
def _products(matrices: Array, pairs: Array) -> Array:
    identity = jnp.eye(matrices.shape[-1], dtype=matrices.dtype)
    start = jnp.broadcast_to(identity, (len(pairs), *matrices.shape[1:]))
    last, first = (pairs[:, i].reshape(-1, *(1,) * (matrices.ndim - 1)) for i in (0, 1))

    def step(products: Array, at: tuple[Array, Array]) -> tuple[Array, None]:
        time, matrix = at
        within = (first < time) & (time <= last)
        return jnp.where(within, _multiply(matrix, products), products), None

    return jax.lax.scan(step, start, (jnp.arange(matrices.shape[0]), matrices))[0]


def product_norms(matrices: Array, *, norm: str = "spectral") -> Array:
    """How strongly each carry depends on each one before: `|d h_t / d h_k|` for all pairs.

    Pascanu et al. (2013, section 2.1) read vanishing and exploding gradients from these norms: `dE_t / dh_k =
    (d h_t / d h_k)' dE_t / dh_t`. Of all products only those that lead to the current step are held,
    `T * B * N^2` numbers.

    Norms below the smallest number of the dtype are zero: run under `jax.enable_x64` where decay is fast.

    Args:
      matrices: `[T, *B, N, N]`, as `state_jacobians` gives them.
      norm: `"spectral"`, the largest singular value, or `"frobenius"`.

    Returns:
      `[T, T, *B]`: at `[t, k]` the norm of `d h_t / d h_k`; that of the identity where `t = k`, and zero
      where `k > t`.

    Raises:
      ValueError: if `matrices` are not square, or `norm` is neither word.

    Example:
      >>> product_norms(jnp.full((3, 1, 1), 0.5)).tolist()
      [[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.25, 0.5, 1.0]]
    """
    matrices = checked_matrices(matrices)
    if norm not in NORMS:
        raise ValueError(f"norm is {shown(norm)}, expected 'spectral' or 'frobenius'.")
    return _product_norms(matrices, norm)


@partial(jax.jit, static_argnames="norm")
def _product_norms(matrices: Array, norm: str) -> Array:
    identity = jnp.eye(matrices.shape[-1], dtype=matrices.dtype)

    def step(products: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
        time, matrix = at
        products = _multiply(matrix, products).at[time].set(jnp.broadcast_to(identity, matrix.shape))
        return products, _norm(products, norm)

    nothing = jnp.zeros_like(matrices)
    return jax.lax.scan(step, nothing, (jnp.arange(len(matrices)), matrices))[1]


def _norm(matrices: Array, norm: str) -> Array:
    if norm == "frobenius":
        return jnp.sqrt(jnp.sum(matrices * matrices, (-2, -1)))
    return singular_values(matrices)[..., 0]


def _multiply(left: Array, right: Array) -> Array:
    return jnp.matmul(left, right, precision="highest")


def _checked_pairs(pairs: Any, num_steps: int) -> np.ndarray:
    places = np.asarray(pairs)
    if places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(f"pairs has shape {places.shape}, expected [P, 2]: pairs (t, k) such as [(9, 0)].")
    if not np.issubdtype(places.dtype, np.integer):
        raise TypeError(f"pairs has dtype {places.dtype}, expected integers (t, k), the numbers of steps.")
    last, first = places[:, 0], places[:, 1]
    for index in np.flatnonzero((first < -1) | (first > last) | (last >= num_steps))[:1]:
        raise ValueError(
            f"pairs has ({last[index]}, {first[index]}) at {index}, expected (t, k) with -1 <= k <= t < "
            f"{num_steps}, the number of steps."
        )
    return places
