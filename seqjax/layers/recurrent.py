"""A cell as a layer, and the noise that recurrent networks are trained with."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import jax

from seqjax import transforms
from seqjax.cell import Affine, Cell, Gated, check_cell, restructured
from seqjax.checks import check_flag, check_key, factory_hint, kind_of
from seqjax.layers import noise
from seqjax.layers.layer import Layer
from seqjax.types import Array, Carry, Key, Params, PyTree
from seqjax.unroll import Backend, checked_resets, checked_xs, sequence_shape, unroll


def recurrent(
    cell: Cell,
    *,
    reverse: bool = False,
    method: str | Backend = "auto",
    zoneout: PyTree | None = None,
    recurrent_dropout: float | None = None,
) -> Layer:
    """A cell run over the whole sequence.

    Equation: `carry_t, y_t = step(params, carry_{t-1}, x_t)`, as `seqjax.unroll` runs it. Both kinds of noise
    are drawn where `unroll` is given a key, and differ from call to call with the key:

    Zoneout (Krueger et al., 2017, eq. 3) lets some units keep their old value at a step,
    `carry' = keep * carry + (1 - keep) * step(carry)` with `keep ~ Bernoulli(zoneout)` for every unit of the
    carry and every step. Evaluation uses the expectation, `keep = zoneout`.

    Recurrent dropout (Gal & Ghahramani, 2016) drops units of the hidden vector on its way into the recurrent
    product, the same at all steps of a sequence (a reset starts another), and divides the others by
    `1 - recurrent_dropout`. Evaluation drops nothing.

    Args:
      cell: any cell.
      reverse: run from the last valid step to the first; outputs stay at the place of their inputs.
      method: how to run over time, as `seqjax.unroll` takes it.
      zoneout: a rate for the whole carry, or a pytree of rates with the structure of the carry, such as
        `LSTMCarry(cell=0.5, hidden=0.05)`; `None` for no zoneout.
      recurrent_dropout: a rate; `None` for no dropout.

    Returns:
      A `Layer` with the params and the carry of the cell, and no `step` where `reverse` is true.

    Raises:
      TypeError: if `cell` is no cell, `reverse` no boolean or a rate no number.
      ValueError: if a rate is not from 0 up to but not including 1, or the cell's structure does not allow
        the noise. `unroll` raises it if the rates of `zoneout` have another structure than the carry.

    Example:
      >>> import seqjax as sj, jax.numpy as jnp
      >>> layer = recurrent(sj.gru(4), zoneout=0.1)
      >>> params = layer.init(jax.random.key(0), 3)
      >>> carry, ys = layer.unroll(params, jnp.ones((7, 2, 3)), key=jax.random.key(1))
      >>> ys.shape
      (7, 2, 4)
    """
    check_cell(cell)
    check_flag("reverse", reverse)
    trained = evaluated = cell
    if zoneout is not None:
        noise.check_rates("zoneout", zoneout)
        zoneout = jax.tree.map(float, zoneout)  # numpy scalars would decide the dtype of the carry
        trained, evaluated = transforms.zoneout(cell), _expected_zoneout(cell, zoneout)
    if recurrent_dropout is not None:
        noise.check_rate("recurrent_dropout", recurrent_dropout)
        recurrent_dropout = float(recurrent_dropout)
        trained = _dropping(trained, recurrent_dropout)

    def unroll_layer(
        params: Params,
        xs: Any,
        *,
        carry: Carry | None = None,
        lengths: Any = None,
        resets: Any = None,
        key: Key | None = None,
    ) -> tuple[Carry, Any]:
        chosen = evaluated
        if key is not None:
            check_key(key)
            xs = _with_noise(cell, key, xs, resets, zoneout, recurrent_dropout)
            chosen = trained
        return unroll(
            chosen, params, xs, carry=carry, lengths=lengths, resets=resets, reverse=reverse, method=method
        )

    return Layer(
        init=cell.init,
        initial_carry=cell.initial_carry,
        step=None if reverse else evaluated.step,
        unroll=unroll_layer,
        output_size=lambda input_size: cell.output_size,
    )


def as_layer(part: Layer | Cell, name: str = "layer") -> Layer:
    """A layer as it is, or a cell as `recurrent(cell)`.

    Args:
      part: a layer or a cell.
      name: what the caller calls it, for the error.

    Returns:
      A `Layer`.

    Raises:
      TypeError: if `part` is neither.

    Example:
      >>> import seqjax as sj
      >>> as_layer(sj.gru(4)).output_size(3)
      4
      >>> as_layer(sj.gru)
      Traceback (most recent call last):
      TypeError: layer is a function, expected a Layer or a Cell. Call the factory: gru(...), not gru.
    """
    if isinstance(part, Layer):
        return part
    if isinstance(part, Cell):
        return recurrent(part)
    several = " Several make one with stack(first, second, ...)." if isinstance(part, (tuple, list)) else ""
    raise TypeError(f"{name} is {kind_of(part)}, expected a Layer or a Cell.{several or factory_hint(part)}")


def _expected_zoneout(cell: Cell, rates: PyTree) -> Cell:
    """The cell under the expectation of zoneout, whose rates are constants and not inputs of every step."""
    match cell.structure, transforms.zoneout(cell).structure:
        case Gated() as gated, Gated() as noisy_gated:

            def gate(gate_params: PyTree, x_part: Any, h_part: Array, carry: Carry) -> Carry:
                keep = noise.rates_like("zoneout", rates, carry)
                return noisy_gated.gate(gate_params, (x_part, keep), h_part, carry)

            return restructured(cell, gated._replace(gate=gate))
        case Affine() as affine, Affine() as noisy_affine:

            def coefficients(params: Params, xs: Any) -> tuple[Carry, Carry]:
                keep = noise.rates_like("zoneout", rates, cell.initial_carry(params))
                return noisy_affine.coefficients(params, (xs, keep))

            return restructured(cell, affine._replace(coefficients=coefficients))
    raise ValueError("cell has a structure that zoneout changes to another kind, expected Gated or Affine.")


def _dropping(cell: Cell, rate: float) -> Cell:
    """The cell with recurrent dropout, reading a mask of booleans and not a scale.

    Booleans take a quarter of the memory of floats, and no backend looks for their gradient.
    """
    dropping = transforms.recurrent_dropout(cell)
    inner = cast(Gated, dropping.structure)

    def feedback(gate_params: PyTree, x_part: Any, h: Array) -> Array:
        return inner.feedback(gate_params, x_part, h) / (1 - rate)

    return restructured(dropping, inner._replace(feedback=feedback))


def _with_noise(
    cell: Cell, key: Key, xs: Any, resets: Any, zoneout: PyTree | None, dropout_rate: float | None
) -> Any:
    """The inputs, paired with the masks that the cell trained with this noise reads."""
    if zoneout is None and dropout_rate is None:
        return xs
    xs = checked_xs(xs)
    num_steps, batch_shape = sequence_shape(xs)
    if resets is not None:
        resets = checked_resets(resets, num_steps, batch_shape)
    carry = _carry_shapes(cell, jax.tree.leaves(xs)[0].shape[-1])
    zoneout_key, dropout_key = jax.random.split(key)
    if zoneout is not None:
        rates = noise.rates_like("zoneout", zoneout, carry)
        xs = xs, noise.kept_units(zoneout_key, rates, carry, (num_steps, *batch_shape))
    if dropout_rate is not None:
        hidden = jax.eval_shape(cast(Gated, cell.structure).hidden, carry)
        shape = (num_steps, *batch_shape, *hidden.shape)
        xs = xs, noise.once_a_sequence(dropout_key, 1 - dropout_rate, shape, resets)
    return xs


@lru_cache(maxsize=256)
def _carry_shapes(cell: Cell, input_size: int) -> Carry:
    """A carry without batch axes, as shapes. It reads no params, which `unroll` has yet to check."""
    return jax.eval_shape(lambda: cell.initial_carry(cell.init(jax.random.key(0), input_size)))
