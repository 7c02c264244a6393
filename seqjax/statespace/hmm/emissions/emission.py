"""An emission: what a hidden state shows, as a family of distributions and how to learn them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from seqjax.types import Array, Key, Params


class Emission(NamedTuple):
    """The observations of a hidden Markov model: one distribution a state, of one family.

    Observations are `ys[T, *B]` (symbols, counts) or `ys[T, *B, M]` (real numbers), here `...` after the
    batch axes. `lengths[*B]` and `observed[T, *B]` (booleans) say what is read: a step at or past the length,
    or not observed, says nothing about its state, and what stands there is never read. Both may be `None`.

    Params are pytrees of arrays in which every real number is legal, so that any optimiser can move them: the
    gradient of `hmm.log_normalizer(params, emission.log_likelihoods(emission_params, ys))` is all that
    gradient learning needs.

    The prior is bound by the factory. It is written as pseudo-observations, and the function `log_prior` is
    what EM adds to the log-likelihood; where its hyperparameters are left out, they come from the pooled
    observations, which is why it takes them.

    Attributes:
      num_states: `K`.
      num_parameters: how many numbers are free, for AIC and BIC.
      init: `(key, ys, lengths=None, observed=None) -> params`, random starts made from the data.
      log_likelihoods: `(params, ys, lengths=None, observed=None) -> [T, *B, K]`, `log p(y_t | state)`; zero
        where nothing is read.
      sample: `(params, key, states[T, *B]) -> ys`; zero where a state is -1, which stands for padding.
      maximize: `(params, ys, weights[T, *B, K]) -> params`, the M-step: the params that maximise
        `sum_tk weights_tk log p(y_t | k) + log_prior`. Where all weights of a step are zero, it is not read.
        A state whose weights are all zero keeps what the prior does not tell from the given params.
      log_prior: `(params, ys, lengths=None, observed=None) -> []`, up to a constant.
      check: `(ys, lengths=None, observed=None) -> ys`, the observations as an array after a look at their
        shape, dtype and, where they are concrete, values. Where they are not, under `jit`, an observation
        that the family does not know (NaN, a symbol that does not exist) makes the results NaN.
    """

    num_states: int
    num_parameters: int
    init: Callable[..., Params]
    log_likelihoods: Callable[..., Array]
    sample: Callable[[Params, Key, Any], Array]
    maximize: Callable[[Params, Any, Any], Params]
    log_prior: Callable[..., Array]
    check: Callable[..., Array]
