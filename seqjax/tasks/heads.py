"""Heads: from the features of a network to a distribution over targets, its loss and its prediction."""

from seqjax.tasks.bernoulli import BernoulliPrediction, bernoulli
from seqjax.tasks.categorical import CategoricalPrediction, categorical
from seqjax.tasks.gaussian import GaussianParams, GaussianPrediction, gaussian
from seqjax.tasks.head import Head, HeadParams
from seqjax.tasks.mixture_density import MixtureDensityParams, MixtureDensityPrediction, mixture_density

__all__ = [
    "BernoulliPrediction",
    "CategoricalPrediction",
    "GaussianParams",
    "GaussianPrediction",
    "Head",
    "HeadParams",
    "MixtureDensityParams",
    "MixtureDensityPrediction",
    "bernoulli",
    "categorical",
    "gaussian",
    "mixture_density",
]
