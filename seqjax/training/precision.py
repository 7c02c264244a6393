"""Mixed precision: params are kept in one dtype, products are made in another, sums in at least float32."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from seqjax.checks import check_function
from seqjax.tasks import LossAux
from seqjax.training.step import Loss
from seqjax.types import Array, Batch, Params


def in_precision(loss: Loss, dtype: Any) -> Loss:
    """A loss that computes in another dtype than that of the params it is given.

    A kernel's dtype is the dtype of its products, and sums, carries and losses are held in at least float32.
    With float32 params and `dtype=jnp.bfloat16`, the optimizer sees float32 gradients and keeps float32
    params.

    Args:
      loss: `(params, batch, *, carry=None, key=None) -> (loss, LossAux)`, such as `task.loss`.
      dtype: the floating dtype to compute in.

    Returns:
      A loss of the same arguments. Integers, keys and complex params are left as they are.

    Raises:
      TypeError: if `loss` cannot be called, or `dtype` is not floating.

    Example:
      >>> import seqjax as sj
      >>> task = sj.tasks.synced(sj.gru(2), sj.heads.gaussian(1, scale=1.0))
      >>> params = task.init(jax.random.key(0), 1)
      >>> loss, batch = in_precision(task.loss, jnp.bfloat16), sj.Batch(jnp.ones((3, 1)), jnp.ones((3, 1)))
      >>> gradients = jax.grad(lambda params: loss(params, batch)[0])(params)
      >>> gradients.head.kernel.dtype
      dtype('float32')
    """
    check_function("loss", loss)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"dtype is {dtype!r}, expected a floating one such as jnp.bfloat16.")

    def cast(leaf: Array) -> Array:
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    def in_dtype(params: Params, batch: Batch, **options: Any) -> tuple[Array, LossAux]:
        return loss(jax.tree.map(cast, params), batch, **options)

    return in_dtype
