"""Linear autoregressions, scalar and vector, with driving inputs."""

from seqjax.memoryless.ar.fitting import ARFit, fit
from seqjax.memoryless.ar.forecasting import ARForecast, forecast, simulate
from seqjax.memoryless.ar.layer import layer
from seqjax.memoryless.ar.likelihood import estimate_noise, log_likelihood
from seqjax.memoryless.ar.params import ARParams, companion, is_stable, params, roots
from seqjax.memoryless.ar.selection import OrderSelection, select_order

__all__ = [
    "ARFit",
    "ARForecast",
    "ARParams",
    "OrderSelection",
    "companion",
    "estimate_noise",
    "fit",
    "forecast",
    "is_stable",
    "layer",
    "log_likelihood",
    "params",
    "roots",
    "select_order",
    "simulate",
]
