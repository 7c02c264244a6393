"""From what an encoder hands over to the carry that a decoder starts from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.checks import shown
from seqjax.types import Array, Carry, Key, Params, PyTree


class Bridge(NamedTuple):
    """How a decoder's carry begins.

    Attributes:
      init: `(key, source, initial) -> params`, given what the encoder hands over and the decoder's initial
        carry, both without batch axes, as arrays or shapes.
      apply: `(params, source, initial) -> carry`, given the same with batch axes `*B`.
    """

    init: Callable[[Key, PyTree, Carry], Params]
    apply: Callable[[Params, PyTree, Carry], Carry]


def as_bridge(bridge: str | None) -> Bridge:
    """A bridge by its name.

    | `bridge=` | the decoder's carry is |
    | --- | --- |
    | `"affine"` | its initial carry as a bias, plus a learned linear map of all that is handed over |
    | `"same"` | what is handed over, array for array |
    | `None` | its initial carry |

    Args:
      bridge: one of those.

    Returns:
      A `Bridge`.

    Raises:
      ValueError: if there is none of that name.

    Example:
      >>> source, initial = {"hidden": jnp.ones((5, 3))}, jnp.zeros((5, 2))
      >>> affine = as_bridge("affine")
      >>> params = affine.init(jax.random.key(0), {"hidden": jnp.ones(3)}, jnp.zeros(2))
      >>> params.shape, affine.apply(params, source, initial).shape
      ((3, 2), (5, 2))
    """
    if bridge is None:
        return Bridge(lambda key, source, initial: (), lambda params, source, initial: initial)
    if not isinstance(bridge, str) or bridge not in _BRIDGES:
        raise ValueError(f"bridge is {shown(bridge)}, expected 'affine', 'same' or None.")
    return _BRIDGES[bridge]


def _affine_init(key: Key, source: PyTree, initial: Carry) -> Params:
    """A kernel `[F, ...]` for each array of the decoder's carry, `[F, ..., 2]` where that is complex."""
    size = sum(math.prod(_parts(leaf)) for leaf in jax.tree.leaves(source))
    if size == 0:
        raise ValueError(
            "encoder has no carry, but bridge='affine' makes the decoder's from it: give bridge=None and an "
            "attention, or an encoder with a recurrent layer."
        )
    leaves, structure = jax.tree.flatten(initial)
    kernels = [
        ops.input_kernel(leaf_key, size, 1, math.prod(_parts(leaf))).reshape(size, *_parts(leaf))
        for leaf_key, leaf in zip(jax.random.split(key, len(leaves)), leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, kernels)


def _affine(params: Params, source: PyTree, initial: Carry) -> Carry:
    leaves, kernels = jax.tree.leaves(initial), jax.tree.leaves(params)
    if not leaves:
        return initial
    batch_rank = len(_parts(leaves[0])) - (kernels[0].ndim - 1)
    rows = [_real(leaf) for leaf in jax.tree.leaves(source)]
    together = jnp.concatenate([leaf.reshape(*leaf.shape[:batch_rank], -1) for leaf in rows], axis=-1)

    def begin(leaf: Array, kernel: Array) -> Array:
        change = ops.product(together, kernel, name="encoder's carry")
        if _is_complex(leaf):
            change = jax.lax.complex(change[..., 0], change[..., 1])
        return leaf + change.astype(leaf.dtype)

    return jax.tree.map(begin, initial, params)


def _is_complex(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.complexfloating)


def _parts(leaf: Array) -> tuple[int, ...]:
    """The shape, with a last axis for the real and the imaginary part where there are both."""
    return (*leaf.shape, 2) if _is_complex(leaf) else leaf.shape


def _real(leaf: Array) -> Array:
    return jnp.stack([leaf.real, leaf.imag], axis=-1) if _is_complex(leaf) else leaf


def _same_init(key: Key, source: PyTree, initial: Carry) -> Params:
    came, expected = ([leaf.shape for leaf in jax.tree.leaves(tree)] for tree in (source, initial))
    if came != expected:
        raise ValueError(
            f"encoder's carry has arrays of shapes {came}, but bridge='same' hands them to a decoder whose "
            f"carry has {expected}: choose equal sizes, or bridge='affine'."
        )
    return ()


def _same(params: Params, source: PyTree, initial: Carry) -> Carry:
    leaves, structure = jax.tree.flatten(initial)
    handed = [s.astype(leaf.dtype) for s, leaf in zip(jax.tree.leaves(source), leaves, strict=True)]
    return jax.tree.unflatten(structure, handed)


_BRIDGES = {"affine": Bridge(_affine_init, _affine), "same": Bridge(_same_init, _same)}
