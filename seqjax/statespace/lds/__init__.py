"""Linear dynamical systems."""

from seqjax.statespace.lds.beliefs import LDSBelief, LDSFiltered, LDSForecast, LDSSmoothed, SteadyState
from seqjax.statespace.lds.extended import extended_filter
from seqjax.statespace.lds.filter import filter, log_normalizer
from seqjax.statespace.lds.forecast import forecast
from seqjax.statespace.lds.learned import free_entries
from seqjax.statespace.lds.learning import EMStep, LDSFit, em_step, fit
from seqjax.statespace.lds.nonlinear import NonlinearModel, NonlinearParams, nonlinear_params
from seqjax.statespace.lds.params import LDSParams, params
from seqjax.statespace.lds.sampling import posterior_sample, sample
from seqjax.statespace.lds.smooth import smooth
from seqjax.statespace.lds.steady import steady_state
from seqjax.statespace.lds.unscented import unscented_filter

__all__ = [
    "EMStep",
    "LDSBelief",
    "LDSFiltered",
    "LDSFit",
    "LDSForecast",
    "LDSParams",
    "LDSSmoothed",
    "NonlinearModel",
    "NonlinearParams",
    "SteadyState",
    "em_step",
    "extended_filter",
    "filter",
    "fit",
    "forecast",
    "free_entries",
    "log_normalizer",
    "nonlinear_params",
    "params",
    "posterior_sample",
    "sample",
    "smooth",
    "steady_state",
    "unscented_filter",
]
