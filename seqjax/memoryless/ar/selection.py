"""The order of an autoregression, chosen by what it costs or by what it foresees."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import check_flag, check_size, shown
from seqjax.memoryless.ar.design import column_names, regression
from seqjax.memoryless.ar.fitting import check_enough_steps, check_independent, information_criterion
from seqjax.memoryless.ar.likelihood import log_density
from seqjax.memoryless.arguments import check_count, checked_data
from seqjax.types import Array

CRITERIA = ("aic", "bic", "hqic", "held_out")


@struct.dataclass
class OrderSelection:
    """Orders compared.

    Attributes:
      order: the one with the lowest score, an integer.
      scores: `[max_order + 1]`, those of the orders 0, 1, ..., the lower the better.
    """

    order: Array
    scores: Array


def select_order(
    ys: Any,
    max_order: int,
    *,
    criterion: str = "aic",
    inputs: Any = None,
    lengths: Any = None,
    intercept: bool = True,
    num_held_out: int | None = None,
) -> OrderSelection:
    """Compares the orders 0 to `max_order` of an autoregression estimated by least squares.

    Every order explains the same steps, those from `max_order` on, so that likelihoods are of the same data.
    One factorisation of the largest regression holds the others. With `k` free parameters, those of the noise
    included, and `n` steps, the score is

    - `"aic"`: `-2 log_likelihood + 2 k` (Akaike, 1974);
    - `"bic"`: `-2 log_likelihood + k log n` (Schwarz, 1978);
    - `"hqic"`: `-2 log_likelihood + 2 k log log n` (Hannan & Quinn, 1979);
    - `"held_out"`: `-2 log_likelihood` of the last `num_held_out` steps of each series, each given all steps
      before it, by the params that were estimated without those last steps.

    Divided by `n`, and without what all orders share, the first three are Lütkepohl's (2005, section 4.3).

    Args:
      ys: `[T, *B, M]` floating.
      max_order: the largest order, 0 or more.
      criterion: a word from above.
      inputs: `[T, *B, U]` floating, `None` for none.
      lengths: `[*B]` integers, or `None`; what stands past them is not read.
      intercept: whether there is one.
      num_held_out: how many steps of each series are held out; only with `"held_out"`.

    Returns:
      An `OrderSelection`. `fit(ys, int(order))` then estimates that order from all steps.

    Raises:
      ValueError: if a shape, a word or a concrete value does not fit, there are too few steps, or columns of
        the regression are dependent. Where the values are not known (under `jit`), scores are NaN.
      TypeError: if a dtype or type does not fit.

    Example:
      >>> ys = jnp.array([1.0, 2.0, -1.0, -2.0, 1.1, 2.1, -1.0, -1.9, 0.9, 2.0])[:, None]
      >>> int(select_order(ys, 2, criterion="bic").order)
      2
    """
    if not isinstance(criterion, str) or criterion not in CRITERIA:
        raise ValueError(
            f"criterion is {shown(criterion)}, expected one of {', '.join(map(repr, CRITERIA))}."
        )
    check_count("max_order", max_order)
    check_flag("intercept", intercept)
    if criterion == "held_out":
        if num_held_out is None:
            raise ValueError(
                "num_held_out is None, expected how many steps at the end of each series to hold out."
            )
        check_size("num_held_out", num_held_out)
    elif num_held_out is not None:
        raise ValueError(
            f"num_held_out is given, but criterion is {criterion!r}, expected criterion='held_out' with it."
        )
    given = lengths
    ys, inputs, lengths = checked_data(ys, inputs, lengths)
    num_inputs = 0 if inputs is None else inputs.shape[-1]
    names = column_names(max_order, ys.shape[-1], num_inputs, intercept)
    check_enough_steps(ys, max_order + (num_held_out or 0), given, len(names))
    log_likelihood, num_parameters, count, dependent = _select(
        int(max_order), bool(intercept), num_held_out, ys, inputs, lengths
    )
    check_independent(dependent, names)
    if criterion == "held_out":
        scores = -2 * log_likelihood
    else:
        scores = information_criterion(criterion, log_likelihood, num_parameters, count)
    return OrderSelection(jnp.argmin(scores), scores)


# Compiled once for its shapes, so that a call outside of any jit compiles nothing again.
@partial(jax.jit, static_argnums=(0, 1, 2))
def _select(
    max_order: int,
    intercept: bool,
    num_held_out: int | None,
    ys: Array,
    inputs: Array | None,
    lengths: Array | None,
) -> tuple[Array, Array, Array, Array]:
    """By order: the likelihood and the free parameters; the steps, and which columns are dependent."""
    if lengths is not None:
        valid = ops.length_mask(lengths, ys.shape[0])
        ys = ops.zero_padding(ys, valid)
        inputs = ops.zero_padding(inputs, valid)
    rows = regression(ys, max_order, max_order, inputs=inputs, lengths=lengths, intercept=intercept)
    used = rows.valid
    if num_held_out is not None:
        ends = jnp.full(ys.shape[1:-1], ys.shape[0]) if lengths is None else lengths
        early = ops.length_mask(ends - num_held_out, ys.shape[0])[max_order:]
        used = used & early.reshape(-1)
    design, targets = ops.zero_padding((rows.design, rows.targets), used)
    orthogonal, triangular = ops.qr(design)
    dependent = ops.dependent_columns(triangular)
    explained = jnp.matmul(orthogonal.T, targets, precision="highest")
    left = targets - jnp.matmul(orthogonal, explained, precision="highest")
    rest = ops.qr(left)[1]
    count = jnp.sum(used)
    num_columns, num_outputs = explained.shape
    fixed = num_columns - max_order * num_outputs
    sizes = fixed + num_outputs * jnp.arange(max_order + 1)  # the columns of each order, the first ones

    def noise(size: Array) -> Array:
        """The factor of the noise that an order leaves: what it does not explain, and what no order does."""
        unexplained = jnp.where(jnp.arange(num_columns)[:, None] < size, 0, explained)
        return ops.qr(jnp.concatenate([unexplained, rest]))[1] / jnp.sqrt(count.astype(ys.dtype))

    def of_all(size: Array) -> Array:
        log_scale = jnp.sum(jnp.log(jnp.diagonal(noise(size))))
        return -count * (log_scale + 0.5 * num_outputs * (math.log(2 * math.pi) + 1))

    def of_held_out(size: Array) -> Array:
        # The other columns do not exist for this order: the system leaves them at zero.
        inside = jnp.arange(num_columns) < size
        smaller = jnp.where(inside[:, None] & inside, triangular, jnp.eye(num_columns, dtype=ys.dtype))
        columns = ops.back_substitute(smaller, jnp.where(inside[:, None], explained, 0))
        errors = rows.targets - jnp.matmul(rows.design, columns, precision="highest")
        late = rows.valid & ~used
        return log_density(ops.zero_padding(errors, late), noise(size).T, jnp.sum(late))

    log_likelihood = jax.lax.map(of_all if num_held_out is None else of_held_out, sizes)
    log_likelihood = jnp.where(dependent.any(), jnp.nan, log_likelihood)
    num_parameters = num_outputs * sizes + num_outputs * (num_outputs + 1) // 2
    return log_likelihood, num_parameters, count, dependent
