"""Observations before they are read: shapes, dtypes, values, what is padding; and starts taken from them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import ops
from seqjax.checks import as_array, check_key, kind_of, shown
from seqjax.types import Array, Key
from seqjax.unroll import checked_lengths


def readable(shape: tuple[int, ...], lengths: Any, observed: Any) -> Array | None:
    """Which steps are read: those before the length that were observed.

    Args:
      shape: of `[T, *B]`.
      lengths: `[*B]` integers, or `None`.
      observed: `[T, *B]` booleans, or `None`.

    Returns:
      `[T, *B]` booleans, or `None` where every step is read.

    Raises:
      TypeError: if `lengths` are not integers or `observed` not booleans.
      ValueError: if a shape does not fit, or a length lies outside 0 to `T`.

    Example:
      >>> readable((3, 2), jnp.array([3, 1]), None).astype(int).tolist()
      [[1, 1], [1, 0], [1, 0]]
    """
    mask = None
    if lengths is not None:
        mask = ops.length_mask(checked_lengths(lengths, shape[0], shape[1:]), shape[0])
    if observed is not None:
        observed = as_array("observed", observed)
        if observed.dtype != jnp.bool_:
            raise TypeError(f"observed has dtype {observed.dtype}, expected booleans: observed.astype(bool).")
        if observed.shape != shape:
            raise ValueError(
                f"observed has shape {observed.shape}, expected {shape}, the time and batch axes of ys."
            )
        mask = observed if mask is None else mask & observed
    return mask


def real_numbers(ys: Any, size: int, mask: Array | None, *, blank: bool = True) -> Array:
    """Vectors of real numbers, NaN where one is not finite.

    Args:
      ys: `[T, *B, M]`.
      size: `M`.
      mask: `[T, *B]`, which steps are read, or `None` for all.
      blank: whether steps that are not read become zero.

    Returns:
      `[T, *B, M]`, floating.

    Raises:
      TypeError: if `ys` is no array of real numbers.
      ValueError: if the shape does not fit, or a value is concrete, read and not finite.

    Example:
      >>> real_numbers(jnp.ones((7, 2)), 1, None)
      Traceback (most recent call last):
      ValueError: ys has shape (7, 2), expected [T, *B, 1], 1 number a step. ...
    """
    array = _array(ys)
    if array.dtype == jnp.bool_ or not jnp.isrealobj(array):
        raise TypeError(f"ys has dtype {array.dtype}, expected real numbers.")
    if array.ndim < 2 or array.shape[-1] != size:
        hint = " For one number a step: ys[..., None]." if size == 1 else ""
        raise ValueError(
            f"ys has shape {array.shape}, expected [T, *B, {size}], {size} number{'s'[: size > 1]} a step."
            f"{hint}"
        )
    array = array.astype(jnp.promote_types(array.dtype, ops.accumulation_dtype(array.dtype)))
    finite = jnp.isfinite(array)
    _check_values(ys, array, finite, mask, "finite numbers")
    array = jnp.where(finite, array, jnp.nan)
    return array if mask is None or not blank else ops.zero_padding(array, mask)


def whole_numbers(ys: Any, upper: int | None, mask: Array | None) -> tuple[Array, Array]:
    """Symbols or counts, and a factor that is NaN where there is no such symbol or count.

    Args:
      ys: `[T, *B]`. Counts may be floating, if they are whole.
      upper: the number of symbols, or `None` for counts.
      mask: `[T, *B]`, which steps are read, or `None` for all.

    Returns:
      `[T, *B]` numbers, zero where they are not read or unknown, and `[T, *B]` of the default dtype: 1, or
      NaN.

    Raises:
      TypeError: if `ys` is no array of integers (for counts: of real numbers).
      ValueError: if a value is concrete, read and unknown.

    Example:
      >>> whole_numbers(jnp.array([0, 4]), 4, None)
      Traceback (most recent call last):
      ValueError: ys has the value 4 at (1,), expected symbols from 0 to 3. ...
    """
    array = _array(ys)
    kind = jnp.integer if upper is not None else jnp.number
    if not jnp.issubdtype(array.dtype, kind) or jnp.issubdtype(array.dtype, jnp.complexfloating):
        expected = (
            "integers: ys.astype(int)" if upper is not None else "counts: integers that are not negative"
        )
        raise TypeError(f"ys has dtype {array.dtype}, expected {expected}.")
    if array.ndim < 1:
        raise ValueError("ys has shape (), expected [T, *B]: time first.")
    if array.dtype.itemsize < 4:  # too narrow to be compared with the number of symbols
        array = array.astype(jnp.float32 if jnp.issubdtype(array.dtype, jnp.floating) else jnp.int32)
    known = (array >= 0) & (
        jnp.isfinite(array) & (array == jnp.round(array)) if upper is None else array < upper
    )
    what = "counts: whole numbers, not negative" if upper is None else f"symbols from 0 to {upper - 1}"
    _check_values(ys, array, known, mask, what)
    if mask is not None:
        known = known | ~mask
        array = jnp.where(mask, array, 0)
    factor = jnp.where(known, 1, jnp.nan).astype(ops.default_dtype())
    return jnp.where(known, array, 0), factor


def weighed(weights: Any, shape: tuple[int, ...], num_states: int) -> tuple[Array, Array]:
    """The weights of an M-step, and which steps they let it read.

    Args:
      weights: `[T, *B, K]`.
      shape: of `[T, *B]`.
      num_states: `K`.

    Returns:
      `[T, *B, K]`, floating, and `[T, *B]` booleans: whether one of a step's weights is not zero.

    Raises:
      TypeError: if `weights` is no array of real numbers.
      ValueError: if the shape does not fit, or a concrete weight is negative.

    Example:
      >>> weighed(jnp.ones((7, 3)), (7,), 2)
      Traceback (most recent call last):
      ValueError: weights has shape (7, 3), expected (7, 2): one weight for each step and state.
    """
    array = as_array("weights", weights)
    if not jnp.isrealobj(array):
        raise TypeError(f"weights is {kind_of(weights)}, expected real numbers.")
    if array.shape != (*shape, num_states):
        raise ValueError(
            f"weights has shape {array.shape}, expected {(*shape, num_states)}: one weight for each step and "
            f"state."
        )
    array = array.astype(jnp.promote_types(array.dtype, ops.default_dtype()))
    if not isinstance(weights, jax.core.Tracer) and (negative := np.argwhere(np.asarray(weights) < 0)).size:
        place = tuple(int(i) for i in negative[0])
        raise ValueError(
            f"weights has the value {np.asarray(weights)[place]} at {place}, expected none below zero."
        )
    return array, jnp.any(array != 0, axis=-1)


def known_states(states: Any, num_states: int) -> tuple[Array, Array]:
    """States to sample from, and which of them are states: -1 stands for padding.

    Args:
      states: `[T, *B]` integers from -1 to `K - 1`.
      num_states: `K`.

    Returns:
      `[T, *B]` int32 from 0 to `K - 1`, and a float factor: 1, 0 for padding, NaN for a state that does not
      exist.

    Raises:
      TypeError: if `states` are not integers.
      ValueError: if a concrete one does not exist.

    Example:
      >>> known_states(jnp.array([0, 5, -1]), 2)
      Traceback (most recent call last):
      ValueError: states has the value 5 at (1,), expected states from 0 to 1, or -1 for padding.
    """
    array = as_array("states", states)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"states has dtype {array.dtype}, expected integers.")
    if array.ndim < 1:
        raise ValueError("states has shape (), expected [T, *B]: time first.")
    array = array.astype(jnp.int32)
    if not isinstance(states, jax.core.Tracer):
        values = np.asarray(states)
        for where in np.argwhere((values < -1) | (values >= num_states))[:1]:
            place = tuple(int(i) for i in where)
            raise ValueError(
                f"states has the value {values[place]} at {place}, expected states from 0 to "
                f"{num_states - 1}, or -1 for padding."
            )
    exists = (array >= 0) & (array < num_states)
    factor = jnp.where(exists, 1.0, jnp.where(array == -1, 0.0, jnp.nan))
    return jnp.where(exists, array, 0), factor


def check_params(params: Any, expected: Mapping[str, tuple[int, ...]], name: str = "emission_params") -> None:
    """Refuses params of another emission.

    Args:
      params: a struct of arrays.
      expected: the shape of each of its fields.
      name: what the caller calls it, for the error.

    Raises:
      TypeError: if it has no such field.
      ValueError: if a shape differs.

    Example:
      >>> from seqjax.statespace.hmm import emissions
      >>> check_params(emissions.PoissonParams(log_rates=jnp.zeros(3)), {"log_rates": (2,)})
      Traceback (most recent call last):
      ValueError: emission_params.log_rates has shape (3,), expected (2,): params of this emission.
    """
    for field, shape in expected.items():
        if not hasattr(params, field):
            raise TypeError(f"{name} is {kind_of(params)}, expected params of this emission, with {field}.")
        if jnp.shape(getattr(params, field)) != shape:
            raise ValueError(
                f"{name}.{field} has shape {jnp.shape(getattr(params, field))}, expected {shape}: params of "
                f"this emission."
            )


def check_pseudo_count(name: str, value: Any, *, positive: bool = False) -> float:
    """A number of pseudo-observations.

    Args:
      name: the argument's name.
      value: a number.
      positive: whether zero is refused.

    Returns:
      The number.

    Raises:
      TypeError: if it is no number.
      ValueError: if it is negative or not finite, or zero where it must be positive.

    Example:
      >>> check_pseudo_count("pseudo_count", -1)
      Traceback (most recent call last):
      ValueError: pseudo_count is -1, expected a finite number that is not negative.
    """
    expected = "a finite positive number" if positive else "a finite number that is not negative"
    if isinstance(value, (bool, jax.Array)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {shown(value, typed=True)}, expected {expected}.")
    if not 0 <= float(value) < math.inf or (positive and value == 0):
        raise ValueError(f"{name} is {value}, expected {expected}.")
    return float(value)


def pooled_mean_and_variances(ys: Array, weights: Array | None) -> tuple[Array, Array]:
    """Mean and variance of each feature over all steps: the scale that priors are made of.

    A feature that does not vary is given the square of its value as variance, or one, so that no prior is
    degenerate.

    Args:
      ys: `[T, *B, M]`.
      weights: `[T, *B]`, or `None` for ones.

    Returns:
      Two arrays `[M]`, finite and the latter positive where `ys` is finite.

    Example:
      >>> [x.tolist() for x in pooled_mean_and_variances(jnp.array([[1.0, 4.0], [3.0, 4.0]]), None)]
      [[2.0, 4.0], [1.0, 16.0]]
    """
    ys = ys.reshape(-1, ys.shape[-1])
    weights = jnp.ones(ys.shape[:1], ys.dtype) if weights is None else weights.reshape(-1).astype(ys.dtype)
    total = jnp.sum(weights)
    share = (weights / jnp.where(total > 0, total, 1))[:, None]
    mean = jnp.sum(share * ys, axis=0)
    # What rounding did to the mean of many steps, their residuals tell.
    mean = mean + jnp.sum(share * (ys - mean), axis=0)
    variance = jnp.sum(share * jnp.square(ys - mean), axis=0)
    rounding = jnp.square(8 * jnp.finfo(ys.dtype).eps * mean)
    without = jnp.where(mean != 0, jnp.square(mean), 1)
    # Written so that NaN stays NaN.
    return mean, jnp.where(variance <= rounding, without, variance)


def seeds(key: Key, ys: Array, mask: Array | None, num_seeds: int) -> Array:
    """Observations that lie far from each other, by k-means++ (Arthur & Vassilvitskii, 2007, section 2.2).

    The first is drawn evenly, each later one in proportion to its squared distance from the nearest before
    it, where each feature is measured in standard deviations.

    Args:
      key: a random key.
      ys: `[T, *B, M]`.
      mask: `[T, *B]`, which steps may be drawn, or `None` for all.
      num_seeds: how many.

    Returns:
      `[num_seeds, M]`.

    Example:
      >>> seeds(jax.random.key(0), jnp.array([[1.0], [1.0], [5.0]]), None, 2).ravel().sort().tolist()
      [1.0, 5.0]
    """
    check_key(key)
    _, variances = pooled_mean_and_variances(ys, mask)
    ys = ys.reshape(-1, ys.shape[-1])
    allowed = jnp.ones(ys.shape[:1], ys.dtype) if mask is None else mask.reshape(-1).astype(ys.dtype)
    scaled = ys / jnp.sqrt(variances)

    def draw(nearest: Array, noise: Array) -> tuple[Array, Array]:
        chances = allowed * jnp.where(jnp.isinf(nearest), 1, nearest)
        # Where all that is left equals a seed, any will do.
        chances = jnp.where(jnp.any(chances > 0), chances, allowed)
        index = jnp.argmax(jnp.log(chances) + noise)
        return jnp.minimum(nearest, jnp.sum(jnp.square(scaled - scaled[index]), axis=-1)), index

    none = jnp.full_like(allowed, jnp.inf)
    _, chosen = jax.lax.scan(draw, none, jax.random.gumbel(key, (num_seeds, *allowed.shape), ys.dtype))
    return ys[chosen]


def shape_of(ys: Any) -> tuple[int, ...]:
    """The shape of observations, before anything else is known of them.

    Args:
      ys: the argument of that name.

    Returns:
      Its shape.

    Raises:
      TypeError: if it is no array.

    Example:
      >>> shape_of([[0, 1], [2]])
      Traceback (most recent call last):
      TypeError: ys is a list, expected an array with time first: ...
    """
    return jnp.shape(ys) if hasattr(ys, "shape") else jnp.shape(_array(ys))


def _array(ys: Any) -> Array:
    """Observations as an array; no nested list, because only its maker knows which axis is time."""
    if isinstance(ys, list) and any(np.ndim(item) for item in ys):
        raise TypeError(
            "ys is a list, expected an array with time first: jnp.asarray(ys) for steps, or "
            "seqjax.data.pad(ys) for sequences."
        )
    return as_array("ys", ys)


def _check_values(given: Any, array: Array, legal: Array, mask: Array | None, expected: str) -> None:
    """Refuses concrete values that are read and not legal."""
    if isinstance(given, jax.core.Tracer) or isinstance(legal, jax.core.Tracer):
        return
    wrong = ~np.asarray(legal)
    if mask is not None:
        if isinstance(mask, jax.core.Tracer):
            return
        wrong &= np.asarray(mask).reshape(mask.shape + (1,) * (wrong.ndim - mask.ndim))
    for where in np.argwhere(wrong)[:1]:
        place = tuple(int(i) for i in where)
        raise ValueError(
            f"ys has the value {np.asarray(array)[place]} at {place}, expected {expected}. Where nothing was "
            f"observed, set observed to False, or a length that ends before it."
        )
