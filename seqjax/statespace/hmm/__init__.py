"""Hidden Markov models: a chain of discrete states, seen through log-likelihoods of what is observed.

Inference reads log-likelihoods `[T, *B, K]`, wherever they come from: an emission, such as `poisson(2)`, or
any network. The chain is logits, of one matrix `[K, K]` or of one a step, which may be a network's too:
transitions driven by inputs. `fit` learns chain and emission by Baum-Welch. Everything learns by the gradient
of `log_normalizer`, with any optimiser:

  >>> import jax, jax.numpy as jnp
  >>> from seqjax.statespace import hmm
  >>> inputs, ys = jnp.sin(jnp.arange(20.0))[:, None], jnp.arange(20.0) % 2
  >>> def loss(params):
  ...     means = inputs @ params["means"]  # any network that gives [T, K]
  ...     logits = (inputs @ params["logits"]).reshape(-1, 2, 2)  # any network that gives [T, K, K]
  ...     chain = hmm.HMMParams(initial_logits=jnp.zeros(2), transition_logits=logits)
  ...     return -hmm.log_normalizer(chain, -0.5 * (ys[:, None] - means) ** 2)
  >>> params = {"means": jnp.array([[0.1, -0.1]]), "logits": jnp.zeros((1, 4))}
  >>> jax.tree.map(jnp.shape, jax.jit(jax.grad(loss))(params))
  {'logits': (1, 4), 'means': (1, 2)}
"""

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
