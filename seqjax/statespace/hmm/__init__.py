"""Hidden Markov models: a chain of discrete states, seen through log-likelihoods of what is observed."""

from seqjax.statespace.hmm.emissions import (
    AutoregressiveParams,
    CategoricalParams,
    Emission,
    GaussianParams,
    MixtureParams,
    PoissonParams,
    autoregressive,
    categorical,
    gaussian,
    gaussian_params,
    mixture,
    poisson,
)
from seqjax.statespace.hmm.inference import (
    HMMPosterior,
    expected_transitions,
    filter,
    log_normalizer,
    pairwise,
    predict,
    smooth,
)
from seqjax.statespace.hmm.learning import BaumWelchStep, HMMFit, baum_welch_step, fit
from seqjax.statespace.hmm.params import HMMParams, params
from seqjax.statespace.hmm.sampling import posterior_sample, sample
from seqjax.statespace.hmm.selection import Selection, aic, bic, held_out, num_parameters, select
from seqjax.statespace.hmm.supervised import fit_supervised
from seqjax.statespace.hmm.viterbi import viterbi

__all__ = [
    "AutoregressiveParams",
    "BaumWelchStep",
    "CategoricalParams",
    "Emission",
    "GaussianParams",
    "HMMFit",
    "HMMParams",
    "HMMPosterior",
    "MixtureParams",
    "PoissonParams",
    "Selection",
    "aic",
    "autoregressive",
    "baum_welch_step",
    "bic",
    "categorical",
    "expected_transitions",
    "filter",
    "fit",
    "fit_supervised",
    "gaussian",
    "gaussian_params",
    "held_out",
    "log_normalizer",
    "mixture",
    "num_parameters",
    "pairwise",
    "params",
    "poisson",
    "posterior_sample",
    "predict",
    "sample",
    "select",
    "smooth",
    "viterbi",
]
