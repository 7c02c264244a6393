"""Recurrences that are linear in what they hand on, by whichever form suits the device."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from seqjax.ops.kernels.linear_recurrence import MAX_NUMBERS, kernel, kernel_gradient
from seqjax.ops.products import accumulation_dtype
from seqjax.ops.recurrence_forms import associative, chunked, sequential
from seqjax.ops.recurrence_gradients import Gradients, sequential_gradient, shifted_gradient
from seqjax.types import Array

FORMS: dict[str, tuple[Callable[..., Array], Callable[..., Gradients]]] = {
    "sequential": (sequential, sequential_gradient),
    "associative": (associative, partial(shifted_gradient, associative)),
    "chunked": (chunked, partial(shifted_gradient, chunked)),
    "kernel": (kernel, kernel_gradient),
}
"""By the name that `method` takes, the form and its gradient."""


class _Choice(NamedTuple):
    """What is known before any number is."""

    method: str
    reverse: bool
    dense: bool
    b_dtype: jnp.dtype


def linear_recurrence(
    a: Array,
    b: Array,
    initial: Array,
    *,
    reverse: bool = False,
    dense: bool = False,
    method: str = "auto",
) -> Array:
    """What a recurrence gives that is linear in its state.

    Equation: `h_t = a_t h_{t-1} + b_t` for `t = 0 ... T - 1` with `h_{-1} = initial`; with `reverse`,
    `h_t = a_t h_{t+1} + b_t` down from `T - 1`, with `h_T = initial`. The product is one of elements, or with
    `dense` of a matrix and a vector.

    The gradient is one recurrence in the other direction, and keeps `a` and `h` alone. It can be
    differentiated again; forward mode (`jax.jvp`, `jax.jacfwd`) has no rule.

    | `method` | runs | one after another | reads and writes |
    | --- | --- | --- | --- |
    | `"sequential"` | a loop over time | `T` | each number once |
    | `"associative"` | `lax.associative_scan` | `2 log2(T)` | several times |
    | `"chunked"` | two loops over all chunks side by side | `2 sqrt(T)` | `a` and `b` twice |
    | `"kernel"` | a Triton kernel, on CUDA only; not `dense` | | each number once, or `a` and `b` twice |

    `"auto"` is `"sequential"` on a CPU, where nothing parallel was faster than the loop, which is bound by
    memory; `"kernel"` on CUDA, or `"associative"` if `dense` or `b` has 2^31 numbers; and `"associative"`
    elsewhere. It decides when a program is compiled for a device, so one traced program takes on each what
    suits it.

    Args:
      a: `[T, ...]` floating or complex, with the axes of `b`; any of them, time included, may have size one
        where `b`'s has not, and then counts for all. With `dense`, `[T, ..., N, N]`.
      b: `[T, ...]`; with `dense`, `[T, ..., N]`.
      initial: `[...]`, the shape of one step of `b`.
      reverse: whether to run from the last step to the first.
      dense: whether `a` are matrices.
      method: a name of the table.

    Returns:
      `h`, `[T, ...]` like `b`, of at least float32.

    Raises:
      ValueError: if shapes do not fit or there is no such method.
      TypeError: if a dtype is neither floating nor complex.

    Example:
      >>> linear_recurrence(jnp.full((3, 1), 0.5), jnp.ones((3, 1)), jnp.zeros(1))[:, 0].tolist()
      [1.0, 1.5, 1.75]
      >>> linear_recurrence(jnp.full((1, 1), 0.5), jnp.ones((3, 1)), jnp.zeros(1), reverse=True)[
      ...     :, 0
      ... ].tolist()
      [1.75, 1.5, 1.0]
    """
    a, b, initial = jnp.asarray(a), jnp.asarray(b), jnp.asarray(initial)
    _check(a, b, initial, dense, method)
    dtype = accumulation_dtype(jnp.result_type(a.dtype, b.dtype, initial.dtype))
    if jnp.issubdtype(dtype, jnp.complexfloating):
        a, b = a.astype(dtype), b.astype(dtype)
    if b.size == 0:
        return b.astype(dtype)
    return _run(_Choice(method, bool(reverse), dense, b.dtype), a, b, initial.astype(dtype))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _run(choice: _Choice, a: Array, b: Array, initial: Array) -> Array:
    def run(method: str, a: Array, b: Array, initial: Array) -> Array:
        return FORMS[method][0](a, b, initial, reverse=choice.reverse, dense=choice.dense)

    return _by_platform(choice, run, a, b, initial)


def _run_keeping(choice: _Choice, a: Array, b: Array, initial: Array) -> tuple[Array, tuple]:
    hs = _run(choice, a, b, initial)
    return hs, (a, hs, initial)


def _backward(choice: _Choice, kept: tuple[Array, Array, Array], d_hs: Array) -> Gradients:
    a, hs, initial = kept

    def run(method: str, *arrays: Array) -> Gradients:
        d_a, d_b, d_initial = FORMS[method][1](*arrays, reverse=choice.reverse, dense=choice.dense)
        return d_a.astype(a.dtype), d_b.astype(choice.b_dtype), d_initial

    return _by_platform(choice, run, a, hs, initial, d_hs)


_run.defvjp(_run_keeping, _backward)


def _by_platform(choice: _Choice, run: Callable[..., Any], *arrays: Array) -> Any:
    """`run` with the chosen method, or with the one that suits the device the program is compiled for."""
    if choice.method != "auto":
        return run(choice.method, *arrays)
    has_kernel = not choice.dense and arrays[1].size < MAX_NUMBERS
    return jax.lax.platform_dependent(
        *arrays,
        cpu=partial(run, "sequential"),
        cuda=partial(run, "kernel" if has_kernel else "associative"),
        default=partial(run, "associative"),
    )


def _check(a: Array, b: Array, initial: Array, dense: bool, method: str) -> None:
    if method not in ("auto", *FORMS):
        names = ", ".join(repr(name) for name in ("auto", *FORMS))
        raise ValueError(f"method is {method!r}, expected one of {names}.")
    if dense and method == "kernel":
        raise ValueError("method 'kernel' has no matrices: with dense=True use 'associative' or 'auto'.")
    for name, leaf in (("a", a), ("b", b), ("initial", initial)):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            raise TypeError(f"{name} has dtype {leaf.dtype}, expected floating or complex numbers.")
    if b.ndim < 1 + dense:
        raise ValueError(f"b has shape {b.shape}, expected [T, ...{', N' if dense else ''}]: time first.")
    if initial.shape != b.shape[1:]:
        raise ValueError(
            f"initial has shape {initial.shape}, expected {b.shape[1:]}, the shape of one step of b."
        )
    expected = (*b.shape, b.shape[-1]) if dense else b.shape
    fixed = 2 if dense else 0
    fits = a.ndim == len(expected) and all(
        size == wanted or (size == 1 and axis < a.ndim - fixed)
        for axis, (size, wanted) in enumerate(zip(a.shape, expected, strict=True))
    )
    if not fits:
        ones = "" if dense else " or ones"
        raise ValueError(
            f"a has shape {a.shape}, expected {expected}, {'matrices for' if dense else 'the axes of'} b"
            f"{', with ones where one coefficient counts for all' if not dense else ones}."
        )
