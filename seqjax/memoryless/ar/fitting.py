"""Linear autoregressions estimated in closed form."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax import ops
from seqjax.checks import as_array, check_flag, shown
from seqjax.memoryless.ar.burg import burg
from seqjax.memoryless.ar.design import as_params, column_names, regression
from seqjax.memoryless.ar.likelihood import factor, log_likelihood, residuals
from seqjax.memoryless.ar.params import ARParams
from seqjax.memoryless.arguments import check_count, checked_data
from seqjax.types import Array

METHODS = ("qr", "ridge", "yule_walker", "burg")


@struct.dataclass
class ARFit:
    """An autoregression estimated from series, and how well.

    Attributes:
      params: the estimate, with the noise that `method` finds: for least squares the maximum of the
        likelihood, `Σ_t e_t e_tᵀ / n` without a correction for degrees of freedom.
      standard_errors: of each coefficient, at the place of the coefficient, for noise of that covariance.
      residuals: `[T - p, *B, M]`, what the estimate leaves of the steps from `p` on; zero in the padding.
      residual_covariance: `[M, M]`, `Σ_t e_t e_tᵀ / (n - P)` with the `P` coefficients of an output, the
        corrected estimate (Lütkepohl, 2005, eq. 3.2.19).
      log_likelihood: of all steps from `p` on, given those before them; infinity where nothing is left to
        be noise.
      num_observations: `n`, the steps from `p` on, of all series.
      num_parameters: the free parameters `M P + M (M + 1) / 2`, those of the noise included. A ridge counts
        like none.
    """

    params: ARParams
    standard_errors: ARParams
    residuals: Array
    residual_covariance: Array
    log_likelihood: Array
    num_observations: Array
    num_parameters: int = struct.field(pytree_node=False)

    @property
    def aic(self) -> Array:
        """Akaike's criterion, `-2 log_likelihood + 2 num_parameters`: the lower, the better."""
        return information_criterion("aic", self.log_likelihood, self.num_parameters, self.num_observations)

    @property
    def bic(self) -> Array:
        """Schwarz' criterion, `-2 log_likelihood + num_parameters log n`: the lower, the better."""
        return information_criterion("bic", self.log_likelihood, self.num_parameters, self.num_observations)

    @property
    def hqic(self) -> Array:
        """Hannan and Quinn's criterion, `-2 log_likelihood + 2 num_parameters log log n`: lower is better."""
        return information_criterion("hqic", self.log_likelihood, self.num_parameters, self.num_observations)


def information_criterion(
    name: str, log_likelihood: Array, num_parameters: Array | int, count: Array | int
) -> Array:
    """An information criterion, on the scale of the deviance `-2 log_likelihood`.

    Args:
      name: `"aic"`, `"bic"` or `"hqic"`.
      log_likelihood: its value at the maximum.
      num_parameters: the free parameters.
      count: how many observations the likelihood is of.

    Returns:
      The criterion, of which lower is better.

    Example:
      >>> float(information_criterion("aic", jnp.array(-10.0), 3, 50))
      26.0
    """
    count = jnp.asarray(count, log_likelihood.dtype)
    if name == "aic":
        weight = jnp.asarray(2.0, log_likelihood.dtype)
    else:
        weight = jnp.log(count) if name == "bic" else 2 * jnp.log(jnp.log(count))
    return -2 * log_likelihood + weight * num_parameters


def fit(
    ys: Any,
    order: int,
    *,
    inputs: Any = None,
    lengths: Any = None,
    intercept: bool = True,
    method: str = "qr",
    penalty: Any = None,
) -> ARFit:
    """Estimates a linear autoregression, scalar or vector, from one series or from several pooled.

    Equation: `y_t = intercept + Σ_i A_i y_{t-i} + B u_t + e_t`, where `method` is

    - `"qr"`: least squares over the steps from `p` on, the maximum of the likelihood given the steps before
      (Lütkepohl, 2005, section 3.2);
    - `"ridge"`: the same with `penalty` times the sum of the squares of all coefficients but the intercept;
    - `"yule_walker"`: least squares over the series with zeros before and after it, once its mean is taken
      away, which solves the equations of Yule and Walker with autocovariances divided by `n` (Lütkepohl,
      2005, section 3.3.4) and is always stable;
    - `"burg"`: for one output, from the errors of predicting forwards and backwards (Burg, 1975), stable too.

    The last two estimate the mean first (of all series together), and take no inputs. Standard errors are
    `√(s² (XᵀX)⁻¹)` for every method, with the variance `s²` of `params` and the regression `X` over the steps
    from `p` on; with a ridge, those of the estimate around its own mean (`seqjax.ops.least_squares`).

    Args:
      ys: `[T, *B, M]` floating. Every series has its own first `p` steps; all share the params.
      order: `p`, 0 or more.
      inputs: `[T, *B, U]` floating, `None` for none. Entry `t` drives output `t`; earlier ones enter as more
        features, as `seqjax.layers.delay_line` makes them.
      lengths: `[*B]` integers, or `None`; what stands past them is not read.
      intercept: whether there is one; without one, the mean is taken to be zero.
      method: a word from above.
      penalty: the strength of the ridge, more than zero; only with `"ridge"`.

    Returns:
      An `ARFit` in the dtype of `ys`, at least float32. Under `jit`, `order`, `intercept` and `method` are
      static.

    Raises:
      ValueError: if a shape, a word or a concrete value does not fit, there are too few steps, or columns of
        the regression are dependent. Where the values are not known (under `jit`), the coefficients are NaN.
      TypeError: if a dtype or type does not fit.

    Example:
      >>> ys = jnp.array([1.0, 2.0, 0.0, 3.0, 1.0, 2.0, 1.0])[:, None]
      >>> fitted = fit(ys, 1)
      >>> round(float(fitted.params.intercept[0]), 3), round(float(fitted.params.coefficients[0, 0, 0]), 3)
      (2.727, -0.818)
    """
    penalty = _checked_method(method, penalty)
    check_count("order", order)
    check_flag("intercept", intercept)
    given = lengths
    ys, inputs, lengths = checked_data(ys, inputs, lengths)
    num_outputs, num_inputs = ys.shape[-1], 0 if inputs is None else inputs.shape[-1]
    if method in ("yule_walker", "burg") and inputs is not None:
        raise ValueError(f"inputs is given, but method={method!r} takes none: use method='qr'.")
    if method == "burg" and (num_outputs > 1 or order == 0):
        raise ValueError(
            f"method is 'burg', expected one output and an order of at least 1, but ys has feature size "
            f"{num_outputs} and order is {order}: use method='qr' or 'yule_walker'."
        )
    names = column_names(order, num_outputs, num_inputs, intercept)
    check_enough_steps(ys, order, given, len(names))
    fitted, dependent = _fit(int(order), bool(intercept), method, ys, inputs, lengths, penalty)
    check_independent(dependent, names)
    return fitted


def check_enough_steps(ys: Array, first: int, lengths: Any, num_columns: int) -> None:
    """Refuses series that leave no more equations than there are coefficients, where lengths are known.

    Args:
      ys: `[T, *B, M]`.
      first: the first step that is explained.
      lengths: `[*B]` integers, or `None`.
      num_columns: the coefficients of one output.

    Raises:
      ValueError: if there are too few steps.

    Example:
      >>> check_enough_steps(jnp.ones((5, 1)), 3, None, 4)
      Traceback (most recent call last):
      ValueError: ys has 2 steps from step 3 on, expected more than the 4 coefficients of an output: ...
    """
    if isinstance(lengths, jax.core.Tracer):
        lengths = None  # the longest that they can be
    rows = np.full(ys.shape[1:-1], ys.shape[0]) if lengths is None else np.asarray(lengths)
    count = int(np.maximum(rows - first, 0).sum())
    if count <= num_columns:
        raise ValueError(
            f"ys has {count} steps from step {first} on, expected more than the {num_columns} coefficients "
            f"of an output: lower the order, or give more steps."
        )


def check_independent(dependent: Array, names: list[str]) -> None:
    """Refuses a regression one of whose columns is explained by the others, where that is known.

    Args:
      dependent: `[P]` booleans.
      names: what the columns are.

    Raises:
      ValueError: if one of the columns is dependent.

    Example:
      >>> check_independent(jnp.array([False, True]), ["the intercept", "lag 1 of ys[..., 0]"])
      Traceback (most recent call last):
      ValueError: ys leaves lag 1 of ys[..., 0] a linear combination of the columns before it, expected ...
    """
    if isinstance(dependent, jax.core.Tracer):
        return
    for column in np.flatnonzero(np.asarray(dependent))[:1]:
        argument = "inputs" if names[column].startswith("inputs") else "ys"
        raise ValueError(
            f"{argument} leaves {names[column]} a linear combination of the columns before it, expected "
            f"independent columns ({', '.join(names[: column + 1][-4:])}): lower the order, leave a feature "
            f"out, or use method='ridge'."
        )


def _checked_method(method: Any, penalty: Any) -> Array | None:
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method is {shown(method)}, expected one of {', '.join(map(repr, METHODS))}.")
    if method != "ridge":
        if penalty is not None:
            raise ValueError(f"penalty is given, but method is {method!r}, expected method='ridge' with it.")
        return None
    if penalty is None:
        raise ValueError("penalty is None, expected the strength of the ridge, a number over zero.")
    array = as_array("penalty", penalty)
    if array.shape != () or not jnp.issubdtype(jnp.result_type(array, jnp.float32), jnp.floating):
        raise TypeError(f"penalty is {shown(penalty)}, expected one number over zero.")
    if not isinstance(array, jax.core.Tracer) and not (np.isfinite(array) and array > 0):
        raise ValueError(f"penalty is {shown(penalty)}, expected a number over zero.")
    return array


class _Estimate(NamedTuple):
    """Coefficients `[P, M]` and a factor of the covariance of the noise `[M, M]`."""

    columns: Array
    noise_cholesky: Array


# Compiled once for its shapes, so that a call outside of any jit compiles nothing again.
@partial(jax.jit, static_argnums=(0, 1, 2))
def _fit(
    order: int,
    intercept: bool,
    method: str,
    ys: Array,
    inputs: Array | None,
    lengths: Array | None,
    penalty: Array | None,
) -> tuple[ARFit, Array]:
    """The fit, and which columns of the regression are dependent."""
    if lengths is not None:
        valid = ops.length_mask(lengths, ys.shape[0])
        ys = ops.zero_padding(ys, valid)
        inputs = ops.zero_padding(inputs, valid)
    design, targets, valid = regression(ys, order, order, inputs=inputs, lengths=lengths, intercept=intercept)
    count = jnp.sum(valid)
    ridge = None
    if penalty is not None:
        ridge = jnp.full((design.shape[1],), penalty, ys.dtype)
        ridge = ridge.at[0].set(0) if intercept else ridge
    solution = ops.least_squares(design, targets, ridge=ridge)
    if method in ("qr", "ridge"):
        estimate = _Estimate(solution.coefficients, factor(solution.residuals, count))
    else:
        estimate = _around_the_mean(order, intercept, method, ys, lengths)
    place = partial(
        as_params, order=order, num_inputs=0 if inputs is None else inputs.shape[-1], intercept=intercept
    )
    variances = jnp.sum(estimate.noise_cholesky**2, axis=1)
    deviations = jnp.sqrt(jnp.diagonal(solution.unscaled_covariance))
    params = dataclasses.replace(place(estimate.columns), noise_cholesky=estimate.noise_cholesky)
    num_outputs, num_columns = ys.shape[-1], design.shape[1]
    left = residuals(params, ys, inputs, lengths)
    rows = left.reshape(-1, num_outputs)
    fitted = ARFit(
        params=params,
        standard_errors=place(deviations[:, None] * jnp.sqrt(variances)),
        residuals=left,
        residual_covariance=jnp.matmul(rows.T, rows, precision="highest") / (count - num_columns),
        log_likelihood=jnp.sum(log_likelihood(params, ys, inputs=inputs, lengths=lengths)),
        num_observations=count,
        num_parameters=num_outputs * num_columns + num_outputs * (num_outputs + 1) // 2,
    )
    return fitted, solution.dependent


def _around_the_mean(order: int, intercept: bool, method: str, ys: Array, lengths: Array | None) -> _Estimate:
    """The estimates that take the mean away first, and an intercept from that mean."""
    num_steps, num_outputs = ys.shape[0], ys.shape[-1]
    valid = jnp.ones(ys.shape[:-1], bool) if lengths is None else ops.length_mask(lengths, num_steps)
    count, batch = jnp.sum(valid), tuple(range(ys.ndim - 1))
    mean = jnp.sum(ys, axis=batch) / count if intercept else jnp.zeros((num_outputs,), ys.dtype)
    centred = jnp.where(valid[..., None], ys - mean, 0)
    if method == "burg":
        flat = centred.reshape(num_steps, math.prod(ys.shape[1:-1]))
        columns, variance = burg(flat, valid.reshape(flat.shape), order)
        columns, cholesky = columns[:, None], jnp.sqrt(variance).reshape(1, 1)
    else:
        around = jnp.pad(centred, ((order, order), *((0, 0),) * (ys.ndim - 1)))
        design, targets, _ = regression(around, order, order, intercept=False)
        solution = ops.least_squares(design, targets)
        columns, cholesky = solution.coefficients, factor(solution.residuals, count)
    if intercept:
        lags = columns.reshape(order, num_outputs, num_outputs).sum(0)
        columns = jnp.concatenate([(mean - mean @ lags)[None], columns])
    return _Estimate(columns, cholesky)
