"""The regression of a series on its own past, as a matrix."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from seqjax import ops
from seqjax.memoryless.ar.params import ARParams
from seqjax.types import Array


class Regression(NamedTuple):
    """One row for each step and series that is explained, all series pooled.

    Attributes:
      design: `[n, P]`, the columns of `column_names`; zeros in the padding.
      targets: `[n, M]`, zeros in the padding.
      valid: `[n]` booleans, false in the padding.
    """

    design: Array
    targets: Array
    valid: Array


def regression(
    ys: Array,
    order: int,
    first: int,
    *,
    inputs: Array | None = None,
    lengths: Array | None = None,
    intercept: bool = True,
) -> Regression:
    """Each output, and what an autoregression explains it by.

    Args:
      ys: `[T, *B, M]`.
      order: `p`.
      first: the first step that is explained, at least `p`.
      inputs: `[T, *B, U]`, or `None`.
      lengths: `[*B]` integers, or `None`.
      intercept: whether the first column is one.

    Returns:
      A `Regression` with `n = (T - first) * B` rows.

    Example:
      >>> regression(jnp.array([[1.0], [2.0], [3.0]]), 1, 1).design.tolist()
      [[1.0, 1.0], [1.0, 2.0]]
    """
    num_steps, num_outputs = ys.shape[0], ys.shape[-1]
    targets = ys[first:]
    columns = [jnp.ones((*targets.shape[:-1], 1), ys.dtype)] if intercept else []
    if inputs is not None:
        columns.append(inputs[first:].astype(ys.dtype))
    columns += [ys[first - lag : num_steps - lag] for lag in range(1, order + 1)]
    if not columns:
        columns = [jnp.zeros((*targets.shape[:-1], 0), ys.dtype)]
    design = jnp.concatenate(columns, axis=-1)
    valid = jnp.ones(targets.shape[:-1], bool)
    if lengths is not None:
        valid = ops.length_mask(lengths, num_steps)[first:]
    design, targets = ops.zero_padding((design, targets), valid)
    return Regression(
        design.reshape(valid.size, design.shape[-1]),
        targets.reshape(valid.size, num_outputs),
        valid.reshape(-1),
    )


def column_names(order: int, num_outputs: int, num_inputs: int, intercept: bool) -> list[str]:
    """What the columns of a regression are, as an error names them.

    Args:
      order: `p`.
      num_outputs: `M`.
      num_inputs: `U`.
      intercept: whether there is one.

    Returns:
      One name a column.

    Example:
      >>> column_names(1, 2, 0, True)
      ['the intercept', 'lag 1 of ys[..., 0]', 'lag 1 of ys[..., 1]']
    """
    names = ["the intercept"] if intercept else []
    names += [f"inputs[..., {index}]" for index in range(num_inputs)]
    return names + [
        f"lag {lag} of ys[..., {index}]" for lag in range(1, order + 1) for index in range(num_outputs)
    ]


def as_params(columns: Array, order: int, *, num_inputs: int, intercept: bool) -> ARParams:
    """What belongs to the columns of a regression, in the places of the params.

    Args:
      columns: `[P, M]`, one row a column of the regression.
      order: `p`.
      num_inputs: `U`.
      intercept: whether there is one.

    Returns:
      `ARParams` without noise.

    Example:
      >>> as_params(jnp.array([[3.0], [0.5]]), 1, num_inputs=0, intercept=True).coefficients.tolist()
      [[[0.5]]]
    """
    size, start = columns.shape[1], int(intercept)
    lags = columns[start + num_inputs :].reshape(order, size, size)
    return ARParams(
        coefficients=jnp.swapaxes(lags, 1, 2),
        intercept=columns[0] if intercept else None,
        input_coefficients=columns[start : start + num_inputs].T if num_inputs else None,
    )
