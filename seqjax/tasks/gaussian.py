"""Real numbers with a scale: fixed, learned, or predicted for each position."""

from __future__ import annotations

import math
import numbers
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import check_key, check_size
from seqjax.tasks.head import Head, check_targets, nan_unless
from seqjax.types import Array, Key

MIN_SCALE = 1e-6
"""Added to a scale that is not fixed, so that targets met exactly do not send the loss to minus infinity."""


@struct.dataclass
class GaussianParams:
    """Parameters of a Gaussian head.

    Attributes:
      kernel: `[H, P, M]` with `P = 2` for the mean and the predicted log-scale, or 1 for the mean alone.
      bias: `[P, M]`.
      log_scale: `[M]`, the learned log-scale, or `None`.
    """

    kernel: Array
    bias: Array
    log_scale: Array | None


@struct.dataclass
class GaussianPrediction:
    """A normal distribution for each feature at each position.

    Attributes:
      mean: `[..., M]`.
      scale: `[..., M]`, the standard deviation.
    """

    mean: Array
    scale: Array


def gaussian(features: int, *, scale: str | float = "predicted") -> Head:
    """`M` real numbers, normal and independent of each other given the network.

    Equation, in nats with all constants:
    `loss = sum_m (t_m - mean_m)^2 / (2 scale_m^2) + log(scale_m) + log(2 pi) / 2`, `mean = ys W + b`, and

    | `scale=` | the standard deviation is |
    | --- | --- |
    | `"predicted"` | `exp(ys V + c) + MIN_SCALE` at each position (Nix & Weigend, 1994); starts at one |
    | `"learned"` | `exp(log_scale) + MIN_SCALE`, one parameter a feature; starts at one |
    | a number | that number; the loss is half the squared error with `scale=1`, up to a constant |

    Metrics: `squared_error`, the mean over features. Derived: `rmse`, its root once it is averaged.

    Args:
      features: `M`.
      scale: `"predicted"`, `"learned"`, or a positive number.

    Returns:
      A `Head` with `GaussianParams`. Outputs and predictions are a `GaussianPrediction`, targets real numbers
      `[..., M]`.

    Raises:
      ValueError: if an argument is out of range. `loss` raises it for a target that is not finite and whose
        value is known; where it is not (under `jit`), the loss is NaN, and so is its gradient.
      TypeError: if `features` is not an integer or `scale` neither a word nor a number.

    Example:
      >>> head = gaussian(1, scale=1.0)
      >>> params = head.init(jax.random.key(0), 3)
      >>> outputs = head.outputs(params, jnp.zeros((3,)))
      >>> round(float(head.loss(outputs, jnp.array([2.0]))), 4)
      2.9189
    """
    check_size("features", features)
    fixed = _fixed_scale(scale)
    num_parts = 2 if fixed is None and scale == "predicted" else 1

    def init(key: Key, input_size: int) -> GaussianParams:
        check_key(key)
        check_size("input_size", input_size)
        kernel = ops.input_kernel(key, input_size, 1, features)
        # The log-scale starts at zero whatever the features: a random one would weigh errors at random.
        kernel = jnp.pad(kernel, ((0, 0), (0, num_parts - 1), (0, 0)))
        return GaussianParams(
            kernel=kernel,
            bias=jnp.zeros((num_parts, features), kernel.dtype),
            log_scale=jnp.zeros((features,), kernel.dtype) if fixed is None and scale == "learned" else None,
        )

    def outputs(params: GaussianParams, ys: Array) -> GaussianPrediction:
        parts = ops.product(ys, params.kernel, name="ys") + params.bias
        mean = parts[..., 0, :]
        if fixed is not None:
            return GaussianPrediction(mean=mean, scale=jnp.full_like(mean, fixed))
        log_scale = parts[..., 1, :] if params.log_scale is None else params.log_scale
        spread = jnp.exp(log_scale.astype(mean.dtype)) + MIN_SCALE
        return GaussianPrediction(mean=mean, scale=jnp.broadcast_to(spread, mean.shape))

    def loss(outputs: GaussianPrediction, targets: Any) -> Array:
        standardised = (real_targets(targets, outputs.mean) - outputs.mean) / outputs.scale
        density = 0.5 * standardised**2 + jnp.log(outputs.scale) + 0.5 * math.log(2 * math.pi)
        return jnp.sum(density, axis=-1)

    def metrics(outputs: GaussianPrediction, targets: Any) -> dict[str, Array]:
        return {"squared_error": jnp.mean((real_targets(targets, outputs.mean) - outputs.mean) ** 2, axis=-1)}

    return Head(
        init=init,
        outputs=outputs,
        loss=loss,
        predict=lambda outputs: outputs,
        metrics=metrics,
        derived=lambda averages: {"rmse": jnp.sqrt(averages["squared_error"])},
        sample=_sample,
    )


def _sample(key: Key | None, prediction: GaussianPrediction) -> Array:
    """Numbers drawn, or the mean."""
    if key is None:
        return prediction.mean
    noise = jax.random.normal(key, prediction.mean.shape, prediction.mean.dtype)
    return prediction.mean + prediction.scale * noise


def _fixed_scale(scale: Any) -> float | None:
    """The scale where it is a number."""
    expected = "expected 'predicted', 'learned', or a positive number"
    if isinstance(scale, str):
        if scale in ("predicted", "learned"):
            return None
        raise ValueError(f"scale is {scale!r}, {expected}.")
    if isinstance(scale, bool) or not isinstance(scale, numbers.Real):
        raise TypeError(f"scale is {scale!r} of type {type(scale).__name__}, {expected}.")
    if not 0 < float(scale) < math.inf:
        raise ValueError(f"scale is {scale}, {expected}.")
    return float(scale)


def real_targets(targets: Any, mean: Array) -> Array:
    """Targets as numbers, NaN where they are not finite.

    Args:
      targets: `[..., M]`.
      mean: an array of the shape and dtype that they should have.

    Returns:
      `[..., M]` of the dtype of `mean`.

    Raises:
      TypeError: if they are complex.
      ValueError: if their shape is another, or a value that is known is not finite.

    Example:
      >>> real_targets([1, 2], jnp.zeros(2)).tolist()
      [1.0, 2.0]
    """
    targets = jnp.asarray(targets)
    if not jnp.isrealobj(targets):
        raise TypeError(f"targets has dtype {targets.dtype}, expected real numbers.")
    check_targets(targets, mean.shape, "one number for each feature")
    scored = nan_unless(jnp.isfinite(targets), targets, "finite numbers", mean.dtype)
    return targets.astype(mean.dtype) * scored
