"""What hidden states show: one family of distributions a file."""

from seqjax.statespace.hmm.emissions.autoregressive import AutoregressiveParams, autoregressive
from seqjax.statespace.hmm.emissions.categorical import CategoricalParams, categorical
from seqjax.statespace.hmm.emissions.emission import Emission
from seqjax.statespace.hmm.emissions.gaussian import GaussianParams, gaussian, gaussian_params
from seqjax.statespace.hmm.emissions.mixture import MixtureParams, mixture
from seqjax.statespace.hmm.emissions.poisson import PoissonParams, poisson

__all__ = [
    "AutoregressiveParams",
    "CategoricalParams",
    "Emission",
    "GaussianParams",
    "MixtureParams",
    "PoissonParams",
    "autoregressive",
    "categorical",
    "gaussian",
    "gaussian_params",
    "mixture",
    "poisson",
]
