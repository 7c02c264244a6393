"""Heads: from the features of a network to a distribution over targets, its loss and its prediction."""

from seqjax.tasks.bernoulli import BernoulliPrediction, bernoulli
from seqjax.tasks.categorical import CategoricalPrediction, categorical
from seqjax.tasks.crf import CRFHeadParams, CRFOutputs, CRFPrediction, crf
from seqjax.tasks.ctc import CTCPrediction, ctc
from seqjax.tasks.gaussian import GaussianParams, GaussianPrediction, gaussian
from seqjax.tasks.head import Head, HeadParams
from seqjax.tasks.mixture_density import MixtureDensityParams, MixtureDensityPrediction, mixture_density
from seqjax.tasks.sequence_head import SequenceHead

__all__ = [
    "BernoulliPrediction",
    "CRFHeadParams",
    "CRFOutputs",
    "CRFPrediction",
    "CTCPrediction",
    "CategoricalPrediction",
    "GaussianParams",
    "GaussianPrediction",
    "Head",
    "HeadParams",
    "MixtureDensityParams",
    "MixtureDensityPrediction",
    "SequenceHead",
    "bernoulli",
    "categorical",
    "crf",
    "ctc",
    "gaussian",
    "mixture_density",
]
