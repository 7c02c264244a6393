"""The emissions that the tests go through, and data for each."""

import jax
import numpy as np

from seqjax.statespace import hmm

STATES = 3
LENGTHS = np.array([12, 7])
SHAPE = (12, 2)

FAMILIES = {
    "categorical": hmm.categorical(STATES, 4, pseudo_count=0.5),
    "poisson": hmm.poisson(STATES, pseudo_count=0.5),
    "full": hmm.gaussian(STATES, 2, covariance_pseudo_count=0.5, mean_pseudo_count=0.25, prior_mean=1.0),
    "diagonal": hmm.gaussian(STATES, 2, "diagonal", covariance_pseudo_count=0.5, prior_covariance=2.0),
    "tied": hmm.gaussian(STATES, 2, "tied", covariance_pseudo_count=0.5, mean_pseudo_count=0.25),
    "mixture": hmm.mixture(STATES, 2, 2, "diagonal", covariance_pseudo_count=0.5, weight_pseudo_count=0.5),
    "autoregressive": hmm.autoregressive(STATES, 2, 2, covariance_pseudo_count=0.5),
}
"""Each with a prior, so that none of its terms is zero."""


def observations(name, seed=0, shape=SHAPE):
    """Something that the family could show, `[T, B]` or `[T, B, M]`."""
    generator = np.random.default_rng(seed)
    if name == "categorical":
        return generator.integers(0, 4, shape)
    if name == "poisson":
        return generator.poisson(generator.choice([1.0, 9.0], shape))
    return generator.normal(generator.choice([-2.0, 3.0], (*shape, 1)), 1.0, (*shape, 2))


def soft_weights(seed=0, shape=SHAPE):
    """Weights of states, as smoothing would give them."""
    return np.random.default_rng(seed).dirichlet(np.ones(STATES), shape)


def drawn(emission, name, seed=0):
    """Params of any real numbers, drawn without compiling `init`."""
    generator = np.random.default_rng(seed)
    ys = observations(name)
    shapes = jax.eval_shape(lambda: emission.init(jax.random.key(0), ys))
    return jax.tree.map(
        lambda leaf: jax.numpy.asarray(generator.normal(0, 0.5, leaf.shape), leaf.dtype), shapes
    )


def garbled(ys, lengths=LENGTHS):
    """The same observations, with something that must not be read as padding."""
    padding = np.arange(len(ys))[:, None] >= lengths
    ys = np.array(ys)
    ys[padding] = -7 if ys.dtype.kind == "i" else np.nan
    return ys
