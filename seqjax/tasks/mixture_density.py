"""Real numbers from a mixture of normal distributions."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import check_key, check_size
from seqjax.tasks.gaussian import MIN_SCALE, real_targets
from seqjax.tasks.head import Head
from seqjax.types import Array, Key


@struct.dataclass
class MixtureDensityParams:
    """Parameters of a mixture density head.

    Attributes:
      weight_kernel: `[H, C]`, of the log-weights of the components.
      weight_bias: `[C]`.
      kernel: `[H, 2, C, M]`, of the means and of the log-scales.
      bias: `[2, C, M]`.
    """

    weight_kernel: Array
    weight_bias: Array
    kernel: Array
    bias: Array


@struct.dataclass
class MixtureDensityPrediction:
    """A mixture of normal distributions at each position.

    Attributes:
      log_weights: `[..., C]`, log-probabilities of the components.
      mean: `[..., C, M]`.
      scale: `[..., C, M]`, standard deviations.
    """

    log_weights: Array
    mean: Array
    scale: Array


def mixture_density(features: int, components: int) -> Head:
    """`M` real numbers from a mixture of `C` normal distributions, for targets with several likely values.

    Equations, in nats with all constants (Bishop, 1994, eq. 22-26, with a scale for each feature):
    `w = softmax(ys W + b)`, `mean_c` and `log scale_c` affine in `ys`, and
    `loss = -log sum_c w_c prod_m Normal(t_m; mean_cm, scale_cm)`. The features of a target share their
    component, and are independent of each other given it. `MIN_SCALE` is added to each scale.

    Components start alike in weight and with scale one, and with biases of their means drawn from a standard
    normal distribution, so that no two of them learn the same.

    Metrics: `squared_error` of the mixture's mean. Derived: `rmse`.

    Args:
      features: `M`.
      components: `C`.

    Returns:
      A `Head` with `MixtureDensityParams`. Outputs and predictions are a `MixtureDensityPrediction`, targets
      and samples real numbers `[..., M]`; the most probable sample is the mean of the heaviest component.

    Raises:
      ValueError: if a size is not positive. `loss` raises it for a target that is not finite and whose value
        is known; where it is not (under `jit`), the loss is NaN, and so is its gradient.
      TypeError: if a size is not an integer.

    Example:
      >>> head = mixture_density(1, 2)
      >>> outputs = MixtureDensityPrediction(
      ...     log_weights=jnp.log(jnp.array([0.5, 0.5])),
      ...     mean=jnp.array([[-9.0], [9.0]]),
      ...     scale=jnp.ones((2, 1)),
      ... )
      >>> round(float(head.loss(outputs, jnp.array([9.0]))), 4)  # log 2 + log(2 pi) / 2
      1.6121
    """
    check_size("features", features)
    check_size("components", components)

    def init(key: Key, input_size: int) -> MixtureDensityParams:
        check_key(key)
        check_size("input_size", input_size)
        kernel_key, bias_key = jax.random.split(key)
        kernel = ops.input_kernel(kernel_key, input_size, components, features)
        means = jax.random.normal(bias_key, (components, features), kernel.dtype)
        zeros = jnp.zeros_like(kernel)
        return MixtureDensityParams(
            weight_kernel=zeros[..., 0],
            weight_bias=jnp.zeros((components,), kernel.dtype),
            kernel=jnp.stack([kernel, zeros], axis=1),
            bias=jnp.stack([means, jnp.zeros_like(means)]),
        )

    def outputs(params: MixtureDensityParams, ys: Array) -> MixtureDensityPrediction:
        weights = ops.product(ys, params.weight_kernel, name="ys") + params.weight_bias
        parts = ops.product(ys, params.kernel, name="ys") + params.bias
        return MixtureDensityPrediction(
            log_weights=jax.nn.log_softmax(weights),
            mean=parts[..., 0, :, :],
            scale=jnp.exp(parts[..., 1, :, :]) + MIN_SCALE,
        )

    def loss(outputs: MixtureDensityPrediction, targets: Any) -> Array:
        targets = real_targets(targets, outputs.mean[..., 0, :])[..., None, :]
        standardised = (targets - outputs.mean) / outputs.scale
        density = -0.5 * standardised**2 - jnp.log(outputs.scale) - 0.5 * math.log(2 * math.pi)
        return -jax.nn.logsumexp(outputs.log_weights + jnp.sum(density, axis=-1), axis=-1)

    def metrics(outputs: MixtureDensityPrediction, targets: Any) -> dict[str, Array]:
        mean = jnp.sum(jnp.exp(outputs.log_weights)[..., None] * outputs.mean, axis=-2)
        return {"squared_error": jnp.mean((real_targets(targets, mean) - mean) ** 2, axis=-1)}

    return Head(
        init=init,
        outputs=outputs,
        loss=loss,
        predict=lambda outputs: outputs,
        metrics=metrics,
        derived=lambda averages: {"rmse": jnp.sqrt(averages["squared_error"])},
        sample=_sample,
    )


def _sample(key: Key | None, prediction: MixtureDensityPrediction) -> Array:
    """Numbers drawn from a component that is drawn, or the mean of the heaviest."""
    mean, scale = prediction.mean, prediction.scale
    if key is None:
        return _of(jnp.argmax(prediction.log_weights, axis=-1), mean)
    component_key, noise_key = jax.random.split(key)
    chosen = jax.random.categorical(component_key, prediction.log_weights)
    noise = jax.random.normal(noise_key, mean.shape[:-2] + mean.shape[-1:], mean.dtype)
    return _of(chosen, mean) + _of(chosen, scale) * noise


def _of(component: Array, values: Array) -> Array:
    return jnp.take_along_axis(values, component[..., None, None], axis=-2)[..., 0, :]
