"""Vectors of real numbers, each a linear function of those before it, another one in each state."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax import ops
from seqjax.checks import check_key, check_size
from seqjax.ops.least_squares import least_squares
from seqjax.statespace.hmm.emissions.covariance import (
    NormalPrior,
    check_form,
    checked_prior,
    covariance_shape,
    in_dtype,
    log_normal_prior,
    maximal_covariance,
    num_covariance_parameters,
    prior_covariance,
)
from seqjax.statespace.hmm.emissions.emission import Emission
from seqjax.statespace.hmm.emissions.gaussian import scaled_noise
from seqjax.statespace.hmm.emissions.normal import covariances_of, log_density, shares, squared_norm
from seqjax.statespace.hmm.emissions.observations import (
    check_params,
    check_pseudo_count,
    known_states,
    pooled_mean_and_variances,
    readable,
    real_numbers,
    shape_of,
    weighed,
)
from seqjax.types import Array, Key


@struct.dataclass
class AutoregressiveParams:
    """A linear autoregression for each state.

    Attributes:
      coefficients: `[K, P, M, M]`: `coefficients[k, j - 1] @ y_{t - j}` is the part of lag `j`.
      biases: `[K, M]`.
      log_cholesky: of the noise, as in `GaussianParams`: `[K, M, M]`, `[1, M, M]` or `[K, M]`.
    """

    coefficients: Array
    biases: Array
    log_cholesky: Array

    @property
    def covariances(self) -> Array:
        """`[K, M, M]`, of the noise, whatever their form."""
        return covariances_of(self.log_cholesky, self.biases)


def autoregressive(
    num_states: int,
    size: int,
    order: int,
    covariance: str = "full",
    *,
    coefficient_pseudo_count: float = 1e-3,
    covariance_pseudo_count: float = 1e-3,
    prior_covariance: Any = None,
) -> Emission:
    """`M` real numbers a step, in each state a linear function of the last `P` steps, with normal noise.

    Equations (Hamilton, 1990, section 3, with a matrix-normal-inverse-Wishart prior):

    - `y_t = sum_j W_kj y_{t-j} + b_k + noise`, `j = 1 ... P`, noise normal with covariance
      `Sigma_k = L_k L_kᵀ`;
    - `log_prior = -1/2 sum_k [c_w sum_j ‖L_k⁻¹ W_kj D‖² + c (log |Sigma_k| + tr(S_0 Sigma_k⁻¹))]`, `D` the
      pooled standard deviations of the observations: as if each state had seen `c_w` observations of zero,
      each after a past as large as usual, and `c` of the noise, of covariance `S_0`;
    - `maximize`: weighted least squares with the ridge `c_w D²` on the coefficients and none on the bias, and
      `Sigma_k = (sum_t w_tk r_t r_tᵀ + c_w sum_j W_kj D² W_kjᵀ + c S_0) / (n_k + c)`, `r_t` its residuals. A
      state without weight gets no coefficients and the covariance `S_0`, and keeps its bias.
    - `init`: time is cut into `3 K` parts, each is given to a state at random, and the states are maximised.

    The steps before the first are taken as zero. To condition on a past instead, put it in front of `ys`, and
    drop its log-likelihoods, or say that it was not `observed`: a step that is not observed has no
    log-likelihood, but it is the past of the next `P`. It must be finite, unless those are not observed
    either.

    Args:
      num_states: `K`.
      size: `M`.
      order: `P`, the number of lags.
      covariance: of the noise, `"full"`, `"diagonal"`, or `"tied"`: one full matrix for all states.
      coefficient_pseudo_count: `c_w`, positive.
      covariance_pseudo_count: `c`, positive.
      prior_covariance: `S_0`: a number, `[M]` variances, `[M, M]`; `None` for the pooled variances of the
        observations.

    Returns:
      An `Emission` with `AutoregressiveParams`; observations are real numbers `[T, *B, M]`.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if an argument is out of range. The functions raise it for values that are concrete, read
        and not finite; under `jit` those give NaN.

    Example:
      >>> emission = autoregressive(1, 1, 1)
      >>> ys = 0.5 ** jnp.arange(6.0)[:, None]
      >>> params = emission.init(jax.random.key(0), ys)
      >>> params = emission.maximize(params, ys, jnp.ones((6, 1)).at[0].set(0))
      >>> params.coefficients.round(1).ravel().tolist()
      [0.5]
    """
    for name, value in {"num_states": num_states, "size": size, "order": order}.items():
        check_size(name, value)
    form = check_form(covariance)
    prior = checked_prior(size, covariance_pseudo_count, prior_covariance)
    ridge = check_pseudo_count("coefficient_pseudo_count", coefficient_pseudo_count, positive=True)
    shapes = {
        "coefficients": (num_states, order, size, size),
        "biases": (num_states, size),
        "log_cholesky": covariance_shape(form, (num_states,), size),
    }

    def read(ys: Any, mask: Array | None) -> tuple[Array, Array]:
        # Only padding may hold anything: a step that is not observed is still the past of others.
        read_ys, past = _with_past(real_numbers(ys, size, mask, blank=False), mask, order)
        _check_past(ys, past, mask, order)
        return read_ys, past

    def init(key: Key, ys: Any, lengths: Any = None, observed: Any = None) -> AutoregressiveParams:
        check_key(key)
        mask = readable(shape_of(ys)[:-1], lengths, observed)
        return _start(form, in_dtype(prior), ridge, key, *read(ys, mask), mask, num_states)

    def log_likelihoods(
        params: AutoregressiveParams, ys: Any, lengths: Any = None, observed: Any = None
    ) -> Array:
        check_params(params, shapes)
        mask = readable(shape_of(ys)[:-1], lengths, observed)
        values = _log_likelihoods(form, params, *read(ys, mask))
        return values if mask is None else ops.zero_padding(values, mask)

    def sample(params: AutoregressiveParams, key: Key, states: Any) -> Array:
        check_key(key)
        check_params(params, shapes)
        states, exists = known_states(states, num_states)
        noise = jax.random.normal(key, (*states.shape, size), params.biases.dtype)
        return _sample(form, params, states, exists, noise)

    def maximize(params: AutoregressiveParams, ys: Any, weights: Any) -> AutoregressiveParams:
        check_params(params, shapes)
        weights, mask = weighed(weights, shape_of(ys)[:-1], num_states)
        return _maximize(form, in_dtype(prior), ridge, params, *read(ys, mask), weights)

    def log_prior(params: AutoregressiveParams, ys: Any, lengths: Any = None, observed: Any = None) -> Array:
        mask = readable(shape_of(ys)[:-1], lengths, observed)
        return _log_prior(form, in_dtype(prior), ridge, params, read(ys, mask)[0], mask)

    def check(ys: Any, lengths: Any = None, observed: Any = None) -> Array:
        read(ys, readable(shape_of(ys)[:-1], lengths, observed))
        return jnp.asarray(ys)

    free = num_states * size * (order * size + 1)
    return Emission(
        num_states=num_states,
        num_parameters=free + num_covariance_parameters(form, num_states, size),
        init=init,
        log_likelihoods=log_likelihoods,
        sample=sample,
        maximize=maximize,
        log_prior=log_prior,
        check=check,
    )


def _with_past(ys: Array, mask: Array | None, order: int) -> tuple[Array, Array]:
    """What is read of each step, `[T, *B, M]`, and of its past, `[T, *B, P M]`, the last step first."""
    padded = jnp.concatenate([jnp.zeros((order, *ys.shape[1:]), ys.dtype), ys])
    past = jnp.concatenate([padded[order - j : order - j + len(ys)] for j in range(1, order + 1)], axis=-1)
    return (ys, past) if mask is None else (ops.zero_padding(ys, mask), ops.zero_padding(past, mask))


def _check_past(ys: Any, past: Array, mask: Array | None, order: int) -> None:
    """Refuses concrete values that are not finite in the past of a step that is read."""
    if mask is None or isinstance(ys, jax.core.Tracer) or isinstance(mask, jax.core.Tracer):
        return
    known = np.isfinite(np.asarray(past)).all(axis=-1)
    for where in np.argwhere(~known)[:1]:
        place = tuple(int(i) for i in where)
        raise ValueError(
            f"ys has a value that is not finite among the {order} steps before {place}, expected finite "
            f"numbers: they are its past. Fill them in, or set observed to False at that step too."
        )


def _kernels(coefficients: Array) -> Array:
    """`[K, P, M, M]` as the matrix that the past is multiplied with, `[K, P M, M]`."""
    num_states, order, size, _ = coefficients.shape
    return jnp.swapaxes(coefficients, -1, -2).reshape(num_states, order * size, size)


@partial(jax.jit, static_argnums=0)
def _log_likelihoods(form: str, params: AutoregressiveParams, ys: Array, past: Array) -> Array:
    """`[T, *B, K]`."""
    params = jax.tree.map(lambda leaf: leaf.astype(ops.accumulation_dtype(leaf.dtype)), params)
    kernels = jnp.moveaxis(_kernels(params.coefficients), 0, 1)
    expected = jnp.tensordot(past, kernels, 1, precision="highest") + params.biases
    return log_density(form, params.log_cholesky, ys[..., None, :] - expected)


@partial(jax.jit, static_argnums=0)
def _sample(form: str, params: AutoregressiveParams, states: Array, exists: Array, noise: Array) -> Array:
    """One step after the other."""
    kernels = _kernels(params.coefficients)
    order = params.coefficients.shape[1]
    noise = scaled_noise(form, params.log_cholesky, states, noise)

    def step(past: Array, given: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        state, there, shock = given
        mean = jnp.sum(past[..., None] * kernels[state], axis=-2) + params.biases[state]
        y = there[..., None] * (mean + shock)
        return jnp.concatenate([y, past[..., : (order - 1) * y.shape[-1]]], axis=-1), y

    start = jnp.zeros((*states.shape[1:], kernels.shape[1]), noise.dtype)
    return jax.lax.scan(step, start, (states, exists.astype(noise.dtype), noise))[1]


@partial(jax.jit, static_argnums=0)
def _maximize(
    form: str,
    prior: NormalPrior,
    ridge: float,
    params: AutoregressiveParams,
    ys: Array,
    past: Array,
    weights: Array,
) -> AutoregressiveParams:
    """Weighted least squares in each state."""
    total = jnp.sum(weights, axis=-1)
    covariance = prior_covariance(prior, ys, total)
    usual = _usual_past(ys, total, past.shape[-1])
    flat_ys, flat_past = ys.reshape(-1, ys.shape[-1]), past.reshape(-1, past.shape[-1])

    def one(weight: Array) -> tuple[Array, Array, Array, Array]:
        count, share = shares(weight)
        centre = jnp.matmul(share, flat_ys, precision="highest")
        past_centre = jnp.matmul(share, flat_past, precision="highest")
        roots = jnp.sqrt(share)[:, None]
        # Divided by the count, the design of a state with little weight keeps its digits.
        penalty = ridge / jnp.where(count > 0, count, 1) * usual
        solved = least_squares(roots * (flat_past - past_centre), roots * (flat_ys - centre), ridge=penalty)
        kernel = solved.coefficients
        bias = centre - jnp.sum(past_centre[:, None] * kernel, axis=0)
        scatter = count * jnp.matmul(solved.residuals.T, solved.residuals, precision="highest")
        drawn = ridge * jnp.matmul(kernel.T * usual, kernel, precision="highest")
        return count, kernel, bias, scatter + drawn

    flat_weights = weights.reshape(-1, weights.shape[-1]).T.astype(ys.dtype)
    counts, kernels, biases, scatter = jax.lax.map(one, flat_weights)
    if form == "diagonal":
        scatter = jnp.diagonal(scatter, axis1=-2, axis2=-1)
    biases = jnp.where((counts == 0)[:, None], params.biases.astype(ys.dtype), biases)
    shape = params.coefficients.shape
    fitted = AutoregressiveParams(
        coefficients=jnp.swapaxes(kernels.reshape(*shape[:2], *shape[2:]), -1, -2),
        biases=biases,
        log_cholesky=maximal_covariance(form, prior.covariance_count, covariance, counts, scatter),
    )
    return jax.tree.map(lambda new, old: new.astype(old.dtype), fitted, params)


def _usual_past(ys: Array, weights: Array | None, size: int) -> Array:
    """`D²` for each entry of the past, `[P M]`."""
    _, variances = pooled_mean_and_variances(ys, weights)
    return jnp.tile(variances, size // variances.shape[0])


@partial(jax.jit, static_argnums=0)
def _log_prior(
    form: str, prior: NormalPrior, ridge: float, params: AutoregressiveParams, ys: Array, mask: Array | None
) -> Array:
    """That of the noise, and a ridge in its metric."""
    covariance = prior_covariance(prior, ys, mask)
    noise = log_normal_prior(form, prior, covariance, params.biases, params.log_cholesky)
    kernels = _kernels(params.coefficients)
    scaled = jnp.swapaxes(kernels, 0, 1) * jnp.sqrt(_usual_past(ys, mask, kernels.shape[1]))[:, None, None]
    if form == "diagonal":
        return noise - 0.5 * ridge * jnp.sum(jnp.square(scaled * jnp.exp(-params.log_cholesky)))
    return noise - 0.5 * ridge * jnp.sum(squared_norm(params.log_cholesky, scaled))


@partial(jax.jit, static_argnums=(0, 7))
def _start(
    form: str,
    prior: NormalPrior,
    ridge: float,
    key: Key,
    ys: Array,
    past: Array,
    mask: Array | None,
    num_states: int,
) -> AutoregressiveParams:
    """The states that explain parts of time, given to them at random, best."""
    size, dtype = ys.shape[-1], ops.default_dtype()
    mean, variances = pooled_mean_and_variances(ys, mask)
    logs = 0.5 * jnp.log(variances).astype(dtype)
    wide = AutoregressiveParams(
        coefficients=jnp.zeros((num_states, past.shape[-1] // size, size, size), dtype),
        biases=jnp.broadcast_to(mean.astype(dtype), (num_states, size)),
        log_cholesky=jnp.broadcast_to(
            logs if form == "diagonal" else logs[:, None] * jnp.eye(size, dtype=dtype),
            covariance_shape(form, (num_states,), size),
        ),
    )
    parts = 3 * num_states
    part = (np.arange(len(ys)) * parts) // max(len(ys), 1)
    owners = jax.random.randint(key, (parts,), 0, num_states)[part]
    weights = jax.nn.one_hot(owners, num_states, dtype=ys.dtype)
    weights = jnp.broadcast_to(
        weights.reshape(len(ys), *(1,) * (ys.ndim - 2), num_states), (*ys.shape[:-1], num_states)
    )
    if mask is not None:
        weights = ops.zero_padding(weights, mask)
    return _maximize(form, prior, ridge, wide, ys, past, weights)
