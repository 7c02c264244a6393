"""Gradients of `h_t = a_t h_{t-1} + b_t`: one recurrence in the other direction, from `a` and `h` alone.

Equations, with `d_t` the cotangent of `h_t`: that of `b_t` is `g_t = d_t + a_{t+1}ᵀ g_{t+1}`, that of `a_t`
is `g_t h_{t-1}ᵀ`, and that of what the first step started from `a_0ᵀ g_0`, in the dtype of `initial`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqjax.ops.recurrence_forms import Form, apply, is_constant, scan_steps, steps_before
from seqjax.types import Array

Gradients = tuple[Array, Array, Array]
"""The cotangents of `a`, `b` and `initial`."""


def sequential_gradient(
    a: Array, hs: Array, initial: Array, d_hs: Array, *, reverse: bool, dense: bool
) -> Gradients:
    """All of it in one loop.

    Args:
      a: `[T or 1, ...]`, or `[T or 1, ..., N, N]` if `dense`.
      hs: `[T, ...]`, the result.
      initial: `[...]`.
      d_hs: `[T, ...]`, the cotangent of the result.
      reverse: whether the last step ran first.
      dense: whether `a` are matrices.

    Returns:
      The cotangents of `a`, `b` and `initial`.

    Example:
      >>> a, ones = jnp.full((1, 1), 0.5), jnp.ones((3, 1))
      >>> _, d_b, _ = sequential_gradient(a, ones, ones[0], ones, reverse=False, dense=False)
      >>> d_b[:, 0].tolist()
      [1.75, 1.5, 1.0]
    """
    num_steps, constant = hs.shape[0], is_constant(a, hs)
    first, back = (num_steps - 1, 1) if reverse else (0, -1)

    def step(state: tuple, a_t: Array, t: Array, d_h: Array) -> tuple[tuple, tuple]:
        passed_on, total = state
        d_b = d_h + passed_on
        # Read from where it stands: a shifted copy of all of `hs` would cost as much as half of the loop.
        place = jnp.clip(t + back, 0, num_steps - 1)
        before = jnp.where(t == first, initial, jax.lax.dynamic_index_in_dim(hs, place, keepdims=False))
        d_a = _of_coefficient(d_b, before, a_t.shape, dense)
        return (apply_transposed(a_t, d_b, dense), total + d_a if constant else total), (
            d_b,
            None if constant else d_a.astype(a.dtype),
        )

    total = jnp.zeros(a.shape[1:] if constant else (), initial.dtype)
    state = (jnp.zeros_like(initial), total)
    (d_initial, total), (d_b, d_a) = scan_steps(
        step, state, a, jnp.arange(num_steps), d_hs, reverse=not reverse
    )
    return total[None] if constant else d_a, d_b, d_initial


def shifted_gradient(
    form: Form, a: Array, hs: Array, initial: Array, d_hs: Array, *, reverse: bool, dense: bool
) -> Gradients:
    """The reversed recurrence by any form, run on shifted coefficients.

    Args:
      form: `sequential`, `associative`, `chunked` or another function like them.
      a: `[T or 1, ...]`, or `[T or 1, ..., N, N]` if `dense`.
      hs: `[T, ...]`, the result.
      initial: `[...]`.
      d_hs: `[T, ...]`, the cotangent of the result.
      reverse: whether the last step ran first.
      dense: whether `a` are matrices.

    Returns:
      The cotangents of `a`, `b` and `initial`.

    Example:
      >>> from seqjax.ops.recurrence_forms import associative
      >>> a, ones = jnp.full((1, 1), 0.5), jnp.ones((3, 1))
      >>> _, d_b, _ = shifted_gradient(associative, a, ones, ones[0], ones, reverse=False, dense=False)
      >>> d_b[:, 0].tolist()
      [1.75, 1.5, 1.0]
    """
    coefficients = jnp.swapaxes(a, -1, -2) if dense else a
    if not is_constant(a, hs):
        # Each step takes the coefficient of the one that ran after it; what the last takes meets a zero.
        zeros = jnp.zeros_like(coefficients[0])
        coefficients = steps_before(coefficients, zeros, not reverse)
    d_b = form(coefficients, d_hs, jnp.zeros_like(initial), reverse=not reverse, dense=dense)
    return (
        coefficient_gradient(a, hs, initial, d_b, reverse=reverse, dense=dense),
        d_b,
        initial_gradient(a, d_b, reverse=reverse, dense=dense),
    )


def coefficient_gradient(
    a: Array, hs: Array, initial: Array, d_b: Array, *, reverse: bool, dense: bool
) -> Array:
    """The cotangent of `a`, from that of `b`.

    Args:
      a: `[T or 1, ...]`, or `[T or 1, ..., N, N]` if `dense`.
      hs: `[T, ...]`, the result.
      initial: `[...]`.
      d_b: `[T, ...]`.
      reverse: whether the last step ran first.
      dense: whether `a` are matrices.

    Returns:
      The shape of `a`.

    Example:
      >>> ones = jnp.ones((3, 1))
      >>> coefficient_gradient(ones[:1], 2 * ones, ones[0], ones, reverse=False, dense=False).tolist()
      [[5.0]]
    """
    return _of_coefficient(d_b, steps_before(hs, initial, reverse), a.shape, dense)


def initial_gradient(a: Array, d_b: Array, *, reverse: bool, dense: bool) -> Array:
    """The cotangent of what the first step started from.

    Args:
      a: `[T or 1, ...]`, or `[T or 1, ..., N, N]` if `dense`.
      d_b: `[T, ...]`, the cotangent of `b`.
      reverse: whether the last step ran first.
      dense: whether `a` are matrices.

    Returns:
      `[...]`.

    Example:
      >>> initial_gradient(jnp.full((1, 1), 0.5), jnp.ones((3, 1)), reverse=False, dense=False).tolist()
      [0.5]
    """
    first = -1 if reverse else 0
    return apply_transposed(a[first], d_b[first], dense)


def apply_transposed(a: Array, g: Array, dense: bool) -> Array:
    """`aᵀ g`, without a conjugate, which is what the cotangents of jax ask for.

    Args:
      a: `[...]`, or `[..., N, N]` if `dense`.
      g: `[...]`.
      dense: whether `a` are matrices.

    Returns:
      `[...]` like `g`.

    Example:
      >>> apply_transposed(jnp.array([[0.0, 1.0], [0.0, 0.0]]), jnp.array([1.0, 2.0]), True).tolist()
      [0.0, 1.0]
    """
    return apply(jnp.swapaxes(a, -1, -2) if dense else a, g, dense)


def _of_coefficient(d_b: Array, before: Array, shape: tuple[int, ...], dense: bool) -> Array:
    """`d_b beforeᵀ`, summed over the axes in which the coefficient has size one."""
    if not dense:
        axes = tuple(i for i, size in enumerate(shape) if size != d_b.shape[i])
        return jnp.sum(d_b * before, axes, keepdims=True)
    batch = "abcdefghijklmnopqrstuvw"[: d_b.ndim - 1]
    kept = "".join(axis for axis, size in zip(batch, shape, strict=False) if size != 1)
    outer = jnp.einsum(f"{batch}x,{batch}y->{kept}xy", d_b, before, precision="highest")
    return outer.reshape(shape)
