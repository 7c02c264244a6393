"""The emissions that the tests go through, and data for each."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.statespace import hmm

STATES = 3
SHAPE = (200, 2)
LENGTHS = np.array([200, 120])
PADDING = np.arange(SHAPE[0])[:, None] >= LENGTHS

FAMILIES = {
    "categorical": hmm.categorical(STATES, 4, pseudo_count=0.5),
    "poisson": hmm.poisson(STATES, pseudo_count=0.5),
    "full": hmm.gaussian(STATES, 2, covariance_pseudo_count=0.5, mean_pseudo_count=0.25, prior_mean=1.0),
    "diagonal": hmm.gaussian(STATES, 2, "diagonal", covariance_pseudo_count=0.5, prior_covariance=2.0),
    "tied": hmm.gaussian(STATES, 2, "tied", covariance_pseudo_count=0.5, mean_pseudo_count=0.25),
    "mixture": hmm.mixture(STATES, 2, 2, covariance_pseudo_count=0.5, weight_pseudo_count=0.5),
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


def drawn(name, seed=0, scale=0.5):
    """Params of any real numbers, drawn without compiling `init`."""
    generator = np.random.default_rng(seed)
    dtype = jnp.zeros(()).dtype
    return jax.tree.map(lambda leaf: generator.normal(0, scale, leaf.shape).astype(dtype), _shapes(name))


@functools.cache
def _shapes(name):
    return jax.eval_shape(lambda: FAMILIES[name].init(jax.random.key(0), observations(name)))


def garbled(ys, padding=PADDING):
    """The same observations, with something that must not be read where there are none."""
    ys = np.array(ys)
    ys[padding] = -7 if ys.dtype.kind == "i" else np.nan
    return ys
