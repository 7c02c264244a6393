"""The bound on how much of a gradient reaches a step of long before, and whether it holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.cell import Activation, Cell, Gated, check_cell
from seqjax.checks import check_function, check_number
from seqjax.diagnostics.jacobians import trajectory
from seqjax.ops.rows import Rows
from seqjax.ops.singular_values import singular_values
from seqjax.types import Array, Carry, Params
from seqjax.unroll import unroll

STEEPEST: tuple[tuple[Activation, float], ...] = (
    (jnp.tanh, 1.0),
    (jax.nn.tanh, 1.0),
    (jax.nn.sigmoid, 0.25),
    (jax.nn.relu, 1.0),
    (jax.nn.relu6, 1.0),
    (jax.nn.leaky_relu, 1.0),
    (jax.nn.elu, 1.0),
    (jax.nn.softplus, 1.0),
    (jax.nn.soft_sign, 1.0),
    (jax.nn.hard_tanh, 1.0),
    (jax.nn.hard_sigmoid, 1 / 6),
    (jax.nn.identity, 1.0),
    (jnp.sin, 1.0),
    (jnp.cos, 1.0),
    (jnp.arctan, 1.0),
)
"""Activations, and the supremum of the absolute value of their derivative."""


class Bound(NamedTuple):
    """The two factors of the bound.

    Attributes:
      kernel_norm: `gamma_v`, the spectral norm of the recurrent kernel, `[]`.
      slope: `gamma_h'`, the largest absolute derivative of the activation, `[]`.
    """

    kernel_norm: Array
    slope: Array

    def at(self, lags: Any) -> Array:
        """The bound `(gamma_v gamma_h')^lag` for each lag `t - k`, zero or more."""
        return (self.kernel_norm * self.slope) ** jnp.asarray(lags)


def largest_slope(activation: Activation) -> float:
    """The supremum of the absolute value of an activation's derivative.

    Args:
      activation: one of those that are known: tanh, sigmoid, relu, ...

    Returns:
      A number, 1/4 for the sigmoid and 1 for tanh and relu.

    Raises:
      ValueError: if the activation is not known.
      TypeError: if it is no function.

    Example:
      >>> largest_slope(jax.nn.sigmoid)
      0.25
    """
    check_function("activation", activation, "an elementwise function such as jnp.tanh")
    for known, slope in STEEPEST:
        if activation is known:
            return slope
    name = getattr(activation, "__name__", "a function")
    raise ValueError(
        f"activation is {name}, whose steepest slope is not known: pass slope=, its largest absolute "
        f"derivative, or measure it along a trajectory with measured_bound."
    )


def elman_bound(
    recurrent_kernel: Array, activation: Activation = jnp.tanh, *, slope: float | None = None
) -> Bound:
    """The bound on the gradient of a simple recurrent network, whatever its inputs.

    Equation: of `h_t = f(x_t W + h_{t-1} V + b)` the Jacobian is `d h_t / d h_{t-1} = diag(f'(a_t)) V'`, so
    that `|d h_t / d h_k| <= (gamma_v gamma_h')^(t - k)` with `gamma_v = |V|`, the largest singular value,
    and `gamma_h' = sup |f'|` (Bengio et al., 1994; Pascanu et al., 2013, section 2.1). Below one, what
    reaches step `k` vanishes at least as fast; above one, it may explode, and need not.

    Args:
      recurrent_kernel: `V`, `[H, 1, H]` as params of `seqjax.elman` hold it, or `[H, H]`.
      activation: `f`.
      slope: `gamma_h'`, for an activation that is not known.

    Returns:
      A `Bound`.

    Raises:
      ValueError: if the kernel has another shape, or the activation is not known and no slope given.
      TypeError: if `slope` is no number, or `activation` no function.

    Example:
      >>> bound = elman_bound(2 * jnp.eye(4), jax.nn.sigmoid)
      >>> bound.at([0, 1, 2]).tolist()
      [1.0, 0.5, 0.25]
    """
    kernel = jnp.asarray(recurrent_kernel)
    if kernel.ndim == 3 and kernel.shape[1] == 1:
        kernel = kernel[:, 0]
    if kernel.ndim != 2:
        raise ValueError(
            f"recurrent_kernel has shape {kernel.shape}, expected [H, 1, H]: a cell with several gates has "
            f"no such bound."
        )
    if slope is None:
        slope = largest_slope(activation)
    check_number("slope", slope)
    if not 0 <= slope < math.inf:
        raise ValueError(f"slope is {slope}, expected a number of zero or more.")
    return Bound(kernel_norm=singular_values(kernel)[0], slope=jnp.asarray(slope, kernel.dtype))


def measured_bound(cell: Cell, params: Params, xs: Any, *, carry: Carry | None = None) -> Bound:
    """The bound of a network like Elman's, with the steepest slope that a trajectory meets.

    Equation: where the carry is read through the recurrent product alone, `d h_t / d h_{t-1} = G_t V'` with
    `G_t` the Jacobian of the gate with respect to that product, for an elementwise one `diag(f'(a_t))`. Then
    `gamma_h' = max_t |G_t|`. It is as tight as a bound of this form can be on these inputs.

    Args:
      cell: a cell with a `Gated` structure whose gate reads the carry only through the recurrent product:
        `seqjax.elman` with any activation, `irnn`, `jordan`.
      params: its params.
      xs: `[T, *B, D]`.
      carry: the carry before the first step, or `None` for the initial one.

    Returns:
      A `Bound`, over all steps and rows.

    Raises:
      ValueError: if the gate has another way along the carry, as that of an LSTM has, or as `seqjax.unroll`.
      TypeError: as `seqjax.unroll`.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.elman(4, jax.nn.sigmoid)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> bool(measured_bound(cell, params, jnp.ones((7, 3))).slope <= 0.25)
      True
    """
    check_cell(cell)
    if not isinstance(cell.structure, Gated):
        raise ValueError(
            "cell has no gated structure, expected one like seqjax.elman: it has no kernel to bound."
        )
    return unroll(cell, params, xs, carry=carry, method=_measured)[1]


def _measured(cell: Cell, params: Params, carry: Carry, xs: Any) -> tuple[Carry, Bound]:
    structure = cast(Gated, cell.structure)
    last, (before, _) = trajectory(cell, params, carry, xs)
    gate, h_part = _gate_along(structure, params, before, xs)
    _refuse_other_ways(gate, h_part, before)
    axes = jax.tree.leaves(xs)[0].ndim - 1
    rows = Rows.of(before, axes)
    flat = h_part.reshape(*h_part.shape[:axes], -1)

    def of_product(flat: Array) -> Array:
        return rows.flat(gate(flat.reshape(h_part.shape), before))

    _, derivative = jax.linearize(of_product, flat)
    size = flat.shape[-1]
    directions = jnp.eye(size, dtype=flat.dtype)
    slopes = jax.vmap(lambda v: derivative(jnp.broadcast_to(v, flat.shape)), out_axes=-1)(directions)
    kernel = structure.recurrent(params)
    return last, Bound(
        kernel_norm=singular_values(kernel.reshape(kernel.shape[0], -1))[0],
        slope=jnp.max(singular_values(slopes)[..., 0], initial=0),
    )


def _gate_along(
    structure: Gated, params: Params, before: Carry, xs: Any
) -> tuple[Callable[[Array, Carry], Carry], Array]:
    """The gate of all steps as a function of the recurrent product and the carry, and that product."""
    gate_params = structure.gate_params(params)
    x_part = structure.project(params, xs)
    fed_back = structure.feedback(gate_params, x_part, structure.hidden(before))
    h_part = ops.product(fed_back, structure.recurrent(params))
    one_step = jax.vmap(structure.gate, (None, 0, 0, 0))
    return lambda h_part, carry: one_step(gate_params, x_part, h_part, carry), h_part


def _refuse_other_ways(gate: Callable[[Array, Carry], Carry], h_part: Array, before: Carry) -> None:
    """Refuses a gate that reads the carry itself."""
    # What a gate reads is seen from its program, not from derivatives, which may be zero by chance.
    program = jax.make_jaxpr(lambda carry, h_part: gate(h_part, carry))(before, h_part).jaxpr
    own = program.invars[: len(jax.tree.leaves(before))]
    read = {id(variable) for equation in program.eqns for variable in equation.invars}
    read |= {id(variable) for variable in program.outvars}
    if any(id(variable) in read for variable in own):
        raise ValueError(
            "cell has a gate that reads the carry itself, so that its Jacobian is no product of a slope and "
            "the recurrent kernel: the bound is of networks like seqjax.elman."
        )


def exceeds_bound(norms: Array, bound: Bound, *, tolerance: float | None = None) -> Array:
    """Where a measured norm is above the bound, which is nowhere unless something is wrong.

    Args:
      norms: `[T, T, *B]`, the norm of `d h_t / d h_k` at `[t, k]`, as `product_norms` gives them.
      bound: of the same cell and params.
      tolerance: by how much a norm may be above, relative to the bound: what rounding makes of a product of
        `T` matrices; `None` for `100 T` times the rounding error of the dtype.

    Returns:
      `[T, T, *B]` booleans.

    Raises:
      ValueError: if `norms` have no two axes of time.

    Example:
      >>> norms = jnp.array([[1.0, 0.0], [0.9, 1.0]])
      >>> bool(exceeds_bound(norms, Bound(jnp.array(0.9), jnp.array(1.0))).any())
      False
      >>> exceeds_bound(norms, Bound(jnp.array(0.8), jnp.array(1.0))).tolist()
      [[False, False], [True, False]]
    """
    norms = jnp.asarray(norms)
    if norms.ndim < 2 or norms.shape[0] != norms.shape[1]:
        raise ValueError(f"norms has shape {norms.shape}, expected [T, T, *B], as product_norms gives them.")
    num_steps = norms.shape[0]
    if tolerance is None:
        tolerance = 100 * num_steps * float(jnp.finfo(norms.dtype).eps)
    steps = jnp.arange(num_steps)
    lags = steps[:, None] - steps
    allowed = bound.at(jnp.maximum(lags, 0)).reshape(num_steps, num_steps, *(1,) * (norms.ndim - 2))
    later = (lags >= 0).reshape(allowed.shape)
    # Bounds below the smallest number of the dtype are zero, and norms there may be a rounding above it.
    return later & (norms > allowed * (1 + tolerance) + jnp.finfo(norms.dtype).tiny)
