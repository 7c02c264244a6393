"""Heads: from the features of a network to a distribution over targets, its loss and its prediction."""

from seqjax.tasks.bernoulli import BernoulliPrediction, bernoulli
from seqjax.tasks.categorical import CategoricalPrediction, categorical
from seqjax.tasks.gaussian import GaussianParams, GaussianPrediction, gaussian
from seqjax.tasks.head import Head, HeadParams

__all__ = [
    "BernoulliPrediction",
    "CategoricalPrediction",
    "GaussianParams",
    "GaussianPrediction",
    "Head",
    "HeadParams",
    "bernoulli",
    "categorical",
    "gaussian",
]
