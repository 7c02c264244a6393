"""A head: from the features of a network to the parameters of a distribution, and what they are worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax import ops
from seqjax.checks import check_key, check_size
from seqjax.types import Array, Key, Params, PyTree


class Head(NamedTuple):
    """What a task predicts, as a distribution over targets.

    All functions take any leading axes, here `...`: time, batch, both or none. Each position is treated by
    itself, and averaging is left to the task.

    Attributes:
      init: `(key, input_size) -> params`.
      outputs: `(params, ys[..., H]) -> outputs`, the parameters of the distribution, such as logits.
      loss: `(outputs, targets) -> [...]`, the negative log-likelihood in nats.
      predict: `(outputs) -> prediction`, a struct with named fields: probabilities, labels, means.
      metrics: `(outputs, targets) -> {name: [...]}`, values whose average over positions means something.
      derived: `({name: average}) -> {name: value}`, what follows from averages but is none itself, such as
        the root of a mean squared error.
      sample: `(key, prediction) -> targets[...]`, drawn from the distribution, or its most probable ones
        where `key` is `None`; what cannot be drawn from, because a number is NaN, gives a target that does
        not exist. `None` for a head from which nothing is drawn.
    """

    init: Callable[[Key, int], Params]
    outputs: Callable[[Params, Array], PyTree]
    loss: Callable[[PyTree, Any], Array]
    predict: Callable[[PyTree], PyTree]
    metrics: Callable[[PyTree, Any], dict[str, Array]]
    derived: Callable[[dict[str, Array]], dict[str, Array]]
    sample: Callable[[Key | None, PyTree], Array] | None = None


@struct.dataclass
class HeadParams:
    """Parameters of an affine map from features to one number a class or feature.

    Attributes:
      kernel: `[H, K]`; `None` where another part of the params stands in for it (`seqjax.tasks.tied`).
      bias: `[K]`.
    """

    kernel: Array | None
    bias: Array


def projection(size: int) -> tuple[Callable[[Key, int], HeadParams], Callable[[HeadParams, Array], Array]]:
    """The affine map that most heads begin with: its `init` and its `outputs`.

    Equation: `outputs = ys W + b`; kernels as `ops.input_kernel` draws them, biases zero.

    Args:
      size: `K`.

    Returns:
      `(key, input_size) -> HeadParams` and `(params, ys[..., H]) -> [..., K]`, at least float32.

    Example:
      >>> init, outputs = projection(5)
      >>> outputs(init(jax.random.key(0), 3), jnp.ones((7, 2, 3))).shape
      (7, 2, 5)
    """

    def init(key: Key, input_size: int) -> HeadParams:
        check_key(key)
        check_size("input_size", input_size)
        kernel = ops.input_kernel(key, input_size, 1, size)[:, 0, :]
        return HeadParams(kernel=kernel, bias=jnp.zeros((size,), kernel.dtype))

    def outputs(params: HeadParams, ys: Array) -> Array:
        if params.kernel is None:
            raise ValueError(
                "params.head.kernel is None, as tied tasks have it: call the task that tied(...) returned."
            )
        return ops.product(ys, params.kernel, name="ys") + params.bias

    return init, outputs


def check_targets(targets: Array, expected: tuple[int, ...], what: str) -> None:
    """Refuses targets of another shape than the outputs ask for.

    Args:
      targets: an array.
      expected: the shape it should have.
      what: what stands in it, for the error.

    Raises:
      ValueError: if the shapes differ.

    Example:
      >>> check_targets(jnp.ones((7, 2)), (7, 2, 1), "one value a feature")
      Traceback (most recent call last):
      ValueError: targets has shape (7, 2), expected (7, 2, 1), one value a feature: targets[..., None].
    """
    if targets.shape == expected:
        return
    mend = "."
    if (*targets.shape, 1) == expected:
        mend = ": targets[..., None]."
    elif targets.shape == (*expected, 1):
        mend = ": targets[..., 0]."
    raise ValueError(f"targets has shape {targets.shape}, expected {expected}, {what}{mend}")


def nan_unless(known: Array, targets: Array, expected: str, dtype: jnp.dtype) -> Array:
    """One where a target can be scored, NaN where it cannot: a factor for the loss.

    A factor and not a selection, because the gradient must be NaN as well: an update computed from a target
    that does not exist is refused by whatever looks at the loss or at the gradient.

    Args:
      known: `[...]` booleans, whether a target is one of those expected.
      targets: `[...]`, for the error.
      expected: what the targets should be, for the error.
      dtype: of the factor.

    Returns:
      `[...]` of `dtype`.

    Raises:
      ValueError: if values are concrete and one is unknown.

    Example:
      >>> targets = jnp.array([0, 9])
      >>> nan_unless(targets < 5, targets, "labels from 0 to 4", jnp.float32)
      Traceback (most recent call last):
      ValueError: targets has the value 9 at (1,), expected labels from 0 to 4. Where there is no target, ...
      >>> jax.jit(lambda t: nan_unless(t < 5, t, "labels from 0 to 4", jnp.float32))(targets).tolist()
      [1.0, nan]
    """
    if not isinstance(known, jax.core.Tracer):
        for where in np.argwhere(~np.asarray(known))[:1]:
            place = tuple(int(i) for i in where)
            raise ValueError(
                f"targets has the value {np.asarray(targets)[place]} at {place}, expected {expected}. "
                f"Where there is no target, give weight 0, or a length that ends before it."
            )
    return jnp.where(known, 1, jnp.nan).astype(dtype)


def checked_class_weights(class_weights: Any, shapes: tuple[tuple[int, ...], ...]) -> np.ndarray | None:
    """Class weights as an array, after a look at their shape and values.

    Args:
      class_weights: the argument of that name, or `None`.
      shapes: the shapes it may have.

    Returns:
      A numpy array of floats, or `None`.

    Raises:
      TypeError: if they are not numbers.
      ValueError: if the shape is none of those, or a weight is negative or not finite.

    Example:
      >>> checked_class_weights([1, 2], ((3,),))
      Traceback (most recent call last):
      ValueError: class_weights has shape (2,), expected (3,): one weight a class.
    """
    if class_weights is None:
        return None
    try:
        weights = np.asarray(class_weights, float)
    except ValueError as error:
        raise TypeError(f"class_weights is {class_weights!r}, expected numbers, one a class.") from error
    if weights.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise ValueError(f"class_weights has shape {weights.shape}, expected {expected}: one weight a class.")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(
            f"class_weights is {weights.tolist()}, expected finite numbers that are not negative."
        )
    return weights
