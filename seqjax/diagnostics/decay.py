"""Whether gradients vanish, explode or stay, and over how many steps."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax.checks import check_number
from seqjax.types import Array

VANISHING, STABLE, EXPLODING = "vanishing", "stable", "exploding"


@struct.dataclass
class Decay:
    """How norms change with the lag.

    Attributes:
      norms: `[T, *B]`, the geometric mean over time of the norms at each lag, from lag 0.
      rate: `[*B]`, the factor per step that fits them best, in the logarithm; 0 where they reach zero.
      horizon: `[*B]`, the first lag at which the norm has halved; infinite where it never has.
      doubling: `[*B]`, the first lag at which the norm has doubled; infinite where it never has.
    """

    norms: Array
    rate: Array
    horizon: Array
    doubling: Array

    def kind(self, tolerance: float = 0.01) -> Any:
        """What it is, `"vanishing"`, `"stable"` or `"exploding"`, by the rate.

        Args:
          tolerance: how far from 1 the rate of a stable one may be.

        Returns:
          A word, or an array of words `[*B]`.
        """
        check_number("tolerance", tolerance)
        rate = np.asarray(self.rate)
        words = np.where(rate < 1 - tolerance, VANISHING, np.where(rate > 1 + tolerance, EXPLODING, STABLE))
        return str(words) if words.ndim == 0 else words


def decay(norms: Array) -> Decay:
    """How the norms of `d h_t / d h_k` change with the lag `t - k`, and over which horizon.

    Equations: at lag `l` the geometric mean of the norms `|d h_{k+l} / d h_k|` over all `k`; the rate is
    `exp` of the slope of the straight line through their logarithms, by least squares.

    Args:
      norms: `[T, T, *B]`, as `product_norms` gives them.

    Returns:
      A `Decay`; `decay(norms).kind()` says which of vanishing, stable and exploding it is.

    Raises:
      ValueError: if `norms` have no two axes of time, or fewer than two steps.

    Example:
      >>> steps = np.arange(6)
      >>> measured = decay(jnp.asarray(0.8 ** np.maximum(steps[:, None] - steps, 0)))
      >>> measured.kind(), round(float(measured.rate), 3), float(measured.horizon)
      ('vanishing', 0.8, 4.0)
    """
    norms = jnp.asarray(norms)
    if norms.ndim < 2 or norms.shape[0] != norms.shape[1] or norms.shape[0] < 2:
        raise ValueError(
            f"norms has shape {norms.shape}, expected [T, T, *B] of at least two steps, as product_norms "
            f"gives them."
        )
    return _decay(norms)


@jax.jit
def _decay(norms: Array) -> Decay:
    num_steps = norms.shape[0]
    lags, starts = np.arange(num_steps)[:, None], np.arange(num_steps)
    # Each row holds the pairs of one lag, and what has gone around the end is left out.
    logs = jnp.log(norms[(lags + starts) % num_steps, starts])
    whole = (lags + starts < num_steps).reshape(num_steps, num_steps, *(1,) * (norms.ndim - 2))
    counts = np.arange(num_steps, 0, -1).reshape(-1, *(1,) * (norms.ndim - 2))
    means = jnp.sum(jnp.where(whole, logs, 0), 1) / counts
    relative = means - means[0]
    centred = (np.arange(num_steps) - (num_steps - 1) / 2).reshape(counts.shape)
    finite = jnp.all(jnp.isfinite(means), 0)
    slope = jnp.sum(centred * jnp.where(finite, means, 0), 0) / np.sum(centred**2)
    return Decay(
        norms=jnp.exp(means),
        rate=jnp.where(finite, jnp.exp(slope), 0),
        horizon=_first(relative <= -jnp.log(2.0)),
        doubling=_first(relative >= jnp.log(2.0)),
    )


def _first(reached: Array) -> Array:
    """The first lag that is true, infinite where there is none."""
    return jnp.where(jnp.any(reached, 0), jnp.argmax(reached, 0).astype(float), jnp.inf)
