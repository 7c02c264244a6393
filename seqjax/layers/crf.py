"""A linear-chain conditional random field: tags that are chosen together, because some follow others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import as_array, check_key, check_size, kind_of, shown
from seqjax.ops import markov, paths
from seqjax.ops.chain import Chain, chain, path_terms
from seqjax.ops.semirings import finite
from seqjax.types import Array, Key
from seqjax.unroll import checked_lengths


@struct.dataclass
class CRFParams:
    """What tags are worth beside each other; any numbers, of which -inf forbids.

    Attributes:
      start: `[K]`, of the first tag.
      transition: `[K, K]`, row `i` of a tag after tag `i`.
      end: `[K]`, of the last tag.
    """

    start: Array
    transition: Array
    end: Array


class CRF(NamedTuple):
    """A conditional random field: a distribution over sequences of tags, given scores of each at each step.

    Scores `[T, *B, K]` are the outputs of a network with `K` features. All functions but `init` take
    `lengths=None` and `method="scan"` or `"associative"` by name, and compute in at least float32. What
    stands at and after a length is never read, neither scores nor tags.

    Attributes:
      num_tags: `K`.
      init: `(key) -> CRFParams`.
      log_normalizer: `(params, scores) -> [*B]`, the logarithm of the sum of all sequences' weights.
      log_likelihood: `(params, scores, tags[T, *B]) -> [*B]`, the log-probability of the tags; 0 where there
        are no steps. A loss is its negative mean.
      marginals: `(params, scores) -> [T, *B, K]`, the probability of each tag at each step; zero in the
        padding.
      decode: `(params, scores) -> tags[T, *B], log_probability[*B]`, the most probable sequence, -1 in the
        padding, and its log-probability. Ties are broken as by `seqjax.hmm.viterbi`.
    """

    num_tags: int
    init: Callable[[Key], CRFParams]
    log_normalizer: Callable[..., Array]
    log_likelihood: Callable[..., Array]
    marginals: Callable[..., Array]
    decode: Callable[..., tuple[Array, Array]]


def crf(num_tags: int) -> CRF:
    """A linear-chain conditional random field (Lafferty et al., 2001; Collobert et al., 2011, eq. 10).

    Equation: `p(z | scores) ~ exp(start[z_0] + sum_t (scores_t[z_t] + transition[z_t, z_{t+1}]) + end[z_T])`,
    where no transition follows the last tag `z_T`.

    Where scores and params forbid every sequence of tags, `log_normalizer` and the log-probabilities are
    -inf and the marginals zero; `decode` gives -1 for every tag. New params are normal with standard
    deviation 0.1.

    Args:
      num_tags: `K`.

    Returns:
      A `CRF`.

    Raises:
      TypeError: if `num_tags` is not an integer. Its functions raise it if an argument has another type.
      ValueError: if `num_tags` is not positive. Its functions raise it if a shape or a concrete value is
        wrong; under `jit`, a tag that does not exist makes the log-likelihood NaN.

    Example:
      >>> tags = crf(2)
      >>> stay = jnp.array([[0.0, -9.0], [-9.0, 0.0]])
      >>> params = CRFParams(start=jnp.zeros(2), transition=stay, end=jnp.zeros(2))
      >>> scores = jnp.array([[3.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
      >>> found, log_probability = tags.decode(params, scores)
      >>> found.tolist(), float(log_probability.round(3))
      ([0, 0, 0], -0.007...)
    """
    check_size("num_tags", num_tags)
    size = int(num_tags)

    def init(key: Key) -> CRFParams:
        check_key(key)
        drawn = 0.1 * jax.random.normal(key, (size + 2, size), ops.default_dtype())
        return CRFParams(start=drawn[0], transition=drawn[2:], end=drawn[1])

    def log_normalizer(params: CRFParams, scores: Any, *, lengths: Any = None, method: str = "scan") -> Array:
        return _log_normalizer(_checked(size, params, scores, lengths, method), method)

    def log_likelihood(
        params: CRFParams, scores: Any, tags: Any, *, lengths: Any = None, method: str = "scan"
    ) -> Array:
        arguments = _checked(size, params, scores, lengths, method)
        return _log_likelihood(arguments, _checked_tags(size, tags, *arguments[1:]), method)

    def marginals(params: CRFParams, scores: Any, *, lengths: Any = None, method: str = "scan") -> Array:
        return _marginals(_checked(size, params, scores, lengths, method), method)

    def decode(
        params: CRFParams, scores: Any, *, lengths: Any = None, method: str = "scan"
    ) -> tuple[Array, Array]:
        return _decode(_checked(size, params, scores, lengths, method), method)

    return CRF(size, init, log_normalizer, log_likelihood, marginals, decode)


Arguments = tuple[CRFParams, Array, Array | None]
"""Params, scores and lengths."""


# Compiled once for shapes and a method, so that a call outside of any jit compiles nothing again.
@partial(jax.jit, static_argnums=1)
def _log_normalizer(arguments: Arguments, method: str) -> Array:
    made, taken = _chain(*arguments)
    return ops.compensated_sum(jnp.concatenate([markov.forward(made, method).increments, taken]))


@partial(jax.jit, static_argnums=2)
def _log_likelihood(arguments: Arguments, tags: Array, method: str) -> Array:
    made, _ = _chain(*arguments)
    number = made.num_states
    unknown = (tags < 0) | (tags >= number)
    unknown = unknown if made.valid is None else unknown & made.valid
    likelihood = _relative(made, jnp.clip(tags, 0, number - 1), markov.forward(made, method))
    # A factor makes the gradient NaN as well.
    return likelihood * jnp.where(jnp.any(unknown, 0), jnp.nan, 1)


@partial(jax.jit, static_argnums=1)
def _marginals(arguments: Arguments, method: str) -> Array:
    return markov.forward_backward(_chain(*arguments)[0], method)[1]


@partial(jax.jit, static_argnums=1)
def _decode(arguments: Arguments, method: str) -> tuple[Array, Array]:
    made, _ = _chain(*arguments)
    tags, peak = paths.best_path(jax.lax.stop_gradient(made), method)
    log_probability = _relative(made, tags, markov.forward(made, method))
    return tags, jnp.where(jnp.isnan(peak), jnp.nan, log_probability)


def _relative(made: Chain, tags: Array, found: markov.Forward) -> Array:
    """The log-probability of tags: the difference of two long sums, taken before they are rounded."""
    terms = path_terms(made, tags)
    possible = ~jnp.any(jnp.isneginf(terms), 0)
    terms, increments = (jnp.where(possible, leaf, 0) for leaf in (terms, found.increments))
    total = ops.compensated_sum(jnp.concatenate([terms, -increments]))
    return jnp.where(possible, total, -jnp.inf)


def _chain(params: CRFParams, scores: Array, lengths: Array | None) -> tuple[Chain, Array]:
    """The chain of potentials, the largest of each step zero, and what was taken from them, `[2 T, *B]`."""
    num_steps = len(scores)
    if lengths is not None:
        scores = ops.zero_padding(scores, ops.length_mask(lengths, num_steps))
    steps = jnp.arange(num_steps).reshape((-1,) + (1,) * (scores.ndim - 2))
    last = (num_steps if lengths is None else lengths) - 1
    scores = scores + jnp.where((steps == 0)[..., None], params.start, 0)
    scores = scores + jnp.where((steps == last)[..., None], params.end, 0)
    # Small numbers have the digits that the difference of two long sums needs.
    here, between = finite(jnp.max(scores, -1)), finite(jnp.max(params.transition))
    transition = params.transition - between
    made = chain(jnp.zeros_like(params.start), transition, scores - here[..., None], lengths)
    here = here if made.valid is None else jnp.where(made.valid, here, 0)
    return made, jnp.concatenate([here, jnp.where(made.moves, between, 0)])


def _checked(size: int, params: Any, scores: Any, lengths: Any, method: Any) -> Arguments:
    """Params, scores and lengths as arrays of one dtype, after a look at them."""
    if not isinstance(params, CRFParams):
        raise TypeError(f"params is {kind_of(params)}, expected CRFParams, as init of layers.crf makes them.")
    if not isinstance(method, str) or method not in markov.METHODS:
        raise ValueError(f"method is {shown(method)}, expected 'scan' or 'associative'.")
    shape = jnp.shape(params.transition)
    if shape != (size, size):
        raise ValueError(
            f"params.transition has shape {shape}, expected {(size, size)}: init params of this layers.crf."
        )
    scores = as_array("scores", scores)
    if not jnp.issubdtype(scores.dtype, jnp.floating):
        raise TypeError(f"scores has dtype {scores.dtype}, expected floating scores, one a tag.")
    if scores.ndim < 2 or scores.shape[-1] != size:
        raise ValueError(f"scores has shape {scores.shape}, expected [T, *B, {size}], one score a tag.")
    if lengths is not None:
        lengths = checked_lengths(lengths, len(scores), scores.shape[1:-1])
    dtype = ops.accumulation_dtype(jnp.result_type(scores, params.transition))
    return jax.tree.map(lambda leaf: leaf.astype(dtype), params), scores.astype(dtype), lengths


def _checked_tags(size: int, tags: Any, scores: Array, lengths: Array | None) -> Array:
    """Tags as an array, after a look at their shape, dtype and, where they are concrete, their values."""
    array = as_array("tags", tags)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"tags has dtype {array.dtype}, expected integers from 0 to {size - 1}.")
    if array.shape != scores.shape[:-1]:
        raise ValueError(f"tags has shape {array.shape}, expected {scores.shape[:-1]}: one tag a step.")
    array = array.astype(jnp.int32)
    wrong = (array < 0) | (array >= size)
    if lengths is not None:
        wrong = wrong & ops.length_mask(lengths, len(scores))
    if not isinstance(wrong, jax.core.Tracer) and wrong.any():
        place = tuple(int(i) for i in jnp.argwhere(wrong)[0])
        raise ValueError(
            f"tags has the value {int(array[place])} at {place}, expected tags from 0 to {size - 1}. Steps "
            f"without a tag are left out with lengths."
        )
    return array
