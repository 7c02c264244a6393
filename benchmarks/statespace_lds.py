"""Who filters and smooths linear dynamical systems: seqjax, dynamax, statsmodels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import harness
import jax
import jax.numpy as jnp
import numpy as np
from harness import Contender
from statespace_hmm import compiled

from seqjax.statespace import lds

dynamax = harness.peer(
    "dynamax.linear_gaussian_ssm.inference", "pip install --force-reinstall --no-deps tfp-nightly"
)
filters = harness.peer("statsmodels.tsa.statespace.kalman_filter", "pip install statsmodels")
smoothers = harness.peer("statsmodels.tsa.statespace.kalman_smoother", "pip install statsmodels")

TARGETS = {"dynamax": 3.0, "statsmodels": 1.0}
"""How many times as fast as a peer we mean to be."""
REASONS = {
    "one large": "a mean of more than 8 states takes about seven small programs a step, each of which XLA "
    "starts anew, and results go to fresh memory, where statsmodels uses its arrays again",
    "one small": "most of the time goes into starting programs and taking fresh memory for results",
    "many large": "results are mostly covariances, of which each row has a copy: writing them to fresh "
    "memory takes most of the time, and we give one more of each step than dynamax (the predicted one)",
    "many small": "means of many rows take several small programs a step, each of which XLA starts anew, and "
    "we give one more covariance of each step than dynamax (the predicted one)",
}
"""Why a cell may fall short: by whether it has one sequence or many, and a small or large state."""


class System(NamedTuple):
    """A linear dynamical system and data: `ys` is `[T, B, M]` float32, `B` is 1 for one sequence."""

    dynamics: np.ndarray
    dynamics_covariance: np.ndarray
    emission: np.ndarray
    emission_covariance: np.ndarray
    ys: np.ndarray


def make_system(state_size: int, observed_size: int, num_steps: int, batch: int) -> System:
    """A stable system and a draw from it."""
    random = np.random.default_rng(0)
    dynamics = random.standard_normal((state_size, state_size))
    dynamics *= 0.95 / np.abs(np.linalg.eigvals(dynamics)).max()
    emission = random.standard_normal((observed_size, state_size))
    # What is observed together has noise in common, as in most models.
    emission_covariance = 0.4 * np.eye(observed_size) + 0.1
    root = np.linalg.cholesky(emission_covariance)
    state = random.standard_normal((batch, state_size))
    ys = np.empty((num_steps, batch, observed_size), np.float32)
    for step in range(num_steps):
        ys[step] = state @ emission.T + random.standard_normal((batch, observed_size)) @ root.T
        state = state @ dynamics.T + np.sqrt(0.1) * random.standard_normal((batch, state_size))
    return System(dynamics, 0.1 * np.eye(state_size), emission, emission_covariance, ys)


def contenders(task: str, system: System) -> list[Contender]:
    """All that can be imported, ours first."""
    everyone = [_ours(task, system)]
    everyone += [_dynamax(task, system)] if dynamax else []
    everyone += _statsmodels(task, system) if filters and smoothers else []
    return everyone


def shortfall(cell: harness.Cell) -> str:
    """By how much a measured cell misses which target, and why; nothing where it misses none."""
    ratios = {library: cell.ratio(library) for library in TARGETS}
    missed = [
        f"{ratio:.2f} times as fast as {library}, meant to be {TARGETS[library]:g}"
        for library, ratio in ratios.items()
        if ratio is not None and ratio < TARGETS[library]
    ]
    if not missed:
        return ""
    kind = f"{'one' if cell.sizes['B'] == 1 else 'many'} {'large' if cell.sizes['N'] > 8 else 'small'}"
    return f"falls short, {' and '.join(missed)}: {REASONS[kind]}"


def _answer(log_normalizer: Any, mean: Any, variance: Any) -> dict[str, Any]:
    """What is compared of the first sequence's `[T, N]` means and variances."""
    every = max(1, len(mean) // 100)
    return {
        "log-likelihood per step": float(log_normalizer) / len(mean),
        "mean": np.asarray(mean)[::every],
        "variance": np.asarray(variance)[::every],
    }


def _ours(task: str, system: System) -> Contender:
    """On `[T, B, M]`."""
    one = system.ys.shape[1] == 1
    matrices = [matrix.astype(np.float32) for matrix in system[:4]]
    names = ("dynamics", "dynamics_covariance", "emission", "emission_covariance")
    start = np.eye(len(system.dynamics), dtype=np.float32)
    params = lds.params(**dict(zip(names, matrices, strict=True)), initial_covariance=start)

    def prepare() -> Callable[[], Any]:
        ys = jnp.asarray(system.ys[:, 0] if one else system.ys)
        return compiled(lds.filter if task == "filter" else lds.smooth, params, ys)

    def answer(result: Any) -> dict[str, Any]:
        mean, cholesky = (field if one else field[:, 0] for field in (result.mean, result.cholesky))
        return _answer(result.log_normalizer.reshape(-1)[0], mean, jnp.sum(cholesky**2, axis=-1))

    return Contender("seqjax", prepare, answer)


def _dynamax(task: str, system: System) -> Contender:
    """On `[B, T, M]`; a batch by `vmap`."""
    one = system.ys.shape[1] == 1
    state_size = len(system.dynamics)
    matrices = [jnp.asarray(matrix, jnp.float32) for matrix in system[:4]]
    params = dynamax.make_lgssm_params(jnp.zeros(state_size), jnp.eye(state_size), *matrices)
    function = dynamax.lgssm_filter if task == "filter" else dynamax.lgssm_smoother

    def run(row: Any) -> Any:
        return function(params, row)

    def prepare() -> Callable[[], Any]:
        rows = jnp.asarray(np.moveaxis(system.ys, 1, 0))
        return compiled(run, rows[0]) if one else compiled(jax.vmap(run), rows)

    def answer(result: Any) -> dict[str, Any]:
        result = result if one else jax.tree.map(lambda leaf: leaf[0], result)
        kind = "filtered" if task == "filter" else "smoothed"
        variance = jnp.diagonal(getattr(result, f"{kind}_covariances"), axis1=-2, axis2=-1)
        return _answer(result.marginal_loglik, getattr(result, f"{kind}_means"), variance)

    return Contender("dynamax", prepare, answer)


def _statsmodels(task: str, system: System) -> Iterator[Contender]:
    """statsmodels' Cython filters and smoothers, without what its classes do around them."""
    num_steps, batch, observed_size = system.ys.shape
    count = max(1, min(batch, int(1e9 / (num_steps * len(system.dynamics) ** 2 * observed_size))))
    for whole in (False, True):
        for method in ("conventional", "univariate"):
            note = "Cython in float64, on one thread, low-level, arrays for the result used again, "
            # By default its filter stops updating covariances once they change by less than 1e-19.
            note += "covariances of all steps, not counted" if whole else "takes over its steady state"
            yield Contender(
                f"statsmodels, {method}{' whole' if whole else ''}",
                functools.partial(_prepare_statsmodels, task, system, method, 0.0 if whole else 1e-19, count),
                _statsmodels_answer,
                share=count / batch,
                note=note,
                counts=not whole,
            )


def _prepare_statsmodels(
    task: str, system: System, method: str, tolerance: float, count: int
) -> Callable[[], Any]:
    # A filter keeps means, covariances and likelihoods; a smoother needs all that the filter has.
    lean = filters.MEMORY_NO_FORECAST | filters.MEMORY_NO_GAIN
    lean |= filters.MEMORY_NO_SMOOTHING | filters.MEMORY_NO_STD_FORECAST
    # As ours and dynamax do: states, their covariances, and those from step to step; no disturbances.
    output = smoothers.SMOOTHER_STATE | smoothers.SMOOTHER_STATE_COV | smoothers.SMOOTHER_STATE_AUTOCOV
    state_size, observed_size = len(system.dynamics), system.ys.shape[-1]
    models = []
    for row in range(count):
        model = smoothers.KalmanSmoother(observed_size, state_size, tolerance=tolerance)
        model["transition"], model["state_cov"] = system.dynamics, system.dynamics_covariance
        model["design"], model["obs_cov"] = system.emission, system.emission_covariance
        model["selection"] = np.eye(state_size)
        model.initialize_known(np.zeros(state_size), np.eye(state_size))
        model.bind(np.ascontiguousarray(system.ys[:, row], dtype=float))
        model.filter_method = getattr(filters, f"FILTER_{method.upper()}")
        model.set_conserve_memory(lean if task == "filter" else 0)
        models.append(model)

    def run(model: Any) -> Any:
        filtered = model._filter()
        return filtered, model._smooth(smoother_output=output) if task == "smoother" else None

    def loop() -> Any:
        first = run(models[0])
        for model in models[1:]:
            run(model)
        return first

    return loop


def _statsmodels_answer(result: Any) -> dict[str, Any]:
    filtered, smoothed = result
    source, kind = (filtered, "filtered") if smoothed is None else (smoothed, "smoothed")
    covariance = np.asarray(getattr(source, f"{kind}_state_cov"))
    mean = np.asarray(getattr(source, f"{kind}_state")).T
    return _answer(np.sum(filtered.loglikelihood), mean, np.diagonal(covariance, axis1=0, axis2=1))
