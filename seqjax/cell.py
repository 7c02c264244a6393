"""A cell: one time step of a recurrence, and the structure from which its fast forms are derived."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import (
    check_flag,
    check_function,
    check_initial_carry,
    check_key,
    check_size,
    factory_hint,
    kind_of,
    shown,
)
from seqjax.types import Array, Carry, Key, Params, PyTree

Activation: TypeAlias = Callable[[Array], Array]
"""An elementwise function, such as `jnp.tanh`."""


class Gated(NamedTuple):
    """One matrix product with the hidden vector, then gates that act on each row by itself.

    Axes: `project`, `hidden`, `feedback` and `readout` take any leading axes, time included, so that they can
    run on many steps at once; `gate` sees one instant, `[*B, ...]`, and treats each row by itself. The leaves
    of a carry are floating.

    Attributes:
      project: `(params, x) -> x_part`, what the inputs contribute to the gates.
      recurrent: `(params) -> kernel[H, G, H']`, what multiplies the hidden vector.
      gate_params: `(params) -> pytree`, what `gate` and `feedback` read (peepholes, norm scales), or `()`.
      gate: `(gate_params, x_part, h_part[*B, G, H'], carry) -> carry`.
      hidden: `(carry) -> h[*B, H]`, the hidden vector.
      feedback: `(gate_params, x_part, h) -> h`, what a transformation does to the hidden vector on its way
        into the product (a reset, dropout); hands it on unchanged otherwise.
      readout: `(params, carry, x) -> y`, the output after the step.
      merge: `(x_part, h_part) -> merged`, or `None`: adds the hidden vector's part where gates
        read the sum. A promise, which spares the gradient the second part: `gate(p, x, h, c)` equals
        `gate(p, merge(x, h), 0, c)`, and `feedback` reads nothing that `merge` changes. Linear; takes any
        leading axes, and what it returned in the place of `x_part`.
    """

    project: Callable[[Params, Any], Any]
    recurrent: Callable[[Params], Array]
    gate_params: Callable[[Params], PyTree]
    gate: Callable[[PyTree, Any, Array, Carry], Carry]
    hidden: Callable[[Carry], Array]
    feedback: Callable[[PyTree, Any, Array], Array]
    readout: Callable[[Params, Carry, Any], Any]
    merge: Callable[[Any, Array], Any] | None = None


@dataclasses.dataclass(frozen=True)
class InputProduct:
    """A `project` of which backends know that it is `x W + bias`, and can join its product to another.

    Attributes:
      kernel: `(params) -> W[D, G, H']`.
      bias: `(params) -> bias[G, H']`.
      pairs: how many times the input is the first of a pair, whose second is handed on: once for each
        transformation of the cell.
    """

    kernel: Callable[[Params], Array] = lambda params: params.input_kernel
    bias: Callable[[Params], Array] = lambda params: params.bias
    pairs: int = 0

    def __call__(self, params: Params, x: Any) -> Any:
        """What the inputs contribute to the gates."""
        return of_first(self.pairs, lambda x: ops.product(x, self.kernel(params)) + self.bias(params), x)


@dataclasses.dataclass(frozen=True)
class PartsSum:
    """A `merge` of which backends know that it adds both parts.

    Attributes:
      pairs: how many times the inputs' part is the first of a pair.
    """

    pairs: int = 0

    def __call__(self, x_part: Any, h_part: Array) -> Any:
        """The sum, in place of the inputs' part."""
        return of_first(self.pairs, lambda x_part: x_part + h_part, x_part)


def of_first(pairs: int, function: Callable[[Any], Any], x: Any) -> Any:
    """A function of the first of a pair, or of the first of its first, and so on; the seconds are kept.

    Args:
      pairs: how many pairs stand around what the function takes.
      function: of what stands inside.
      x: the pairs.

    Returns:
      The pairs, with what the function returns inside.

    Example:
      >>> of_first(2, lambda x: -x, ((1, "mask"), "shift"))
      ((-1, 'mask'), 'shift')
    """
    return (of_first(pairs - 1, function, x[0]), x[1]) if pairs else function(x)


def unchanged(gate_params: PyTree, x_part: Any, h: Array) -> Array:
    """A `feedback` that hands the hidden vector on."""
    return h


class Affine(NamedTuple):
    """A recurrence that is linear in its carry: `carry_t = a_t * carry_{t-1} + b_t`, elementwise.

    Both functions take any leading axes, time included. The leaves of a carry are floating or complex.

    Attributes:
      coefficients: `(params, xs) -> (a, b)`, each with the structure of the carry. Axes of `a` may have size
        one where those of `b` have not: a coefficient that all steps or rows share is never copied for them.
      readout: `(params, carry, x) -> y`, the output after the step.
    """

    coefficients: Callable[[Params, Any], tuple[Carry, Carry]]
    readout: Callable[[Params, Carry, Any], Any]


class LinearAttention(NamedTuple):
    """A matrix a head, written by outer products and read by queries; linear in the matrix.

    Both functions take any leading axes, time included. The carry is an `ops.MatrixCarry`. What a step does
    with the entries is `ops.attention_step`: `M = decay S`, `S' = M + key (value - erase M)ᵀ`, and `query S'`
    is read.

    Attributes:
      entries: `(params, xs) -> ops.Entries`, what is written and what it is read with.
      readout: `(params, read, x) -> y`, the output from the `ops.Read` after the step.
    """

    entries: Callable[[Params, Any], ops.Entries]
    readout: Callable[[Params, ops.Read, Any], Any]


Structure: TypeAlias = Gated | Affine | LinearAttention


class Cell(NamedTuple):
    """One instant of a recurrence.

    Attributes:
      init: `(key, input_size) -> params`.
      initial_carry: `(params, batch_shape=()) -> carry`.
      step: `(params, carry, x[*B, D]) -> (carry, y[*B, H])`.
      output_size: `H`, the features of `y`.
      structure: what is known of the step, for the backends that need to know it; `None` if nothing is.
    """

    init: Callable[[Key, int], Params]
    initial_carry: Callable[..., Carry]
    step: Callable[[Params, Carry, Any], tuple[Carry, Any]]
    output_size: int
    structure: Structure | None = None


@struct.dataclass
class GatedParams:
    """Parameters of a cell with gates.

    Attributes:
      input_kernel: `[D, G, H]`.
      recurrent_kernel: `[H, G, H]`.
      bias: `[G, H]`.
      initial_carry: the learned carry before the first step, without batch axes; `None` for zeros.
    """

    input_kernel: Array
    recurrent_kernel: Array
    bias: Array
    initial_carry: Carry | None


def step_of(structure: Structure) -> Callable[[Params, Carry, Any], tuple[Carry, Any]]:
    """The step that a structure describes.

    Args:
      structure: a `Gated`, an `Affine` or a `LinearAttention`.

    Returns:
      `(params, carry, x) -> (carry, y)`.

    Raises:
      TypeError: if `structure` is none of them.

    Example:
      >>> decay = Affine(lambda params, x: (params, x), lambda params, carry, x: carry)
      >>> carry, y = step_of(decay)(jnp.array([0.5]), jnp.array([2.0]), jnp.array([1.0]))
      >>> y.tolist()
      [2.0]
    """
    if isinstance(structure, Gated):
        return _gated_step(structure)
    if isinstance(structure, Affine):
        return _affine_step(structure)
    if isinstance(structure, LinearAttention):
        return _attention_step(structure)
    raise TypeError(f"structure is {shown(structure)}, expected a Gated, an Affine or a LinearAttention.")


def restructured(cell: Cell, structure: Structure) -> Cell:
    """A cell with another structure, and the step that it describes.

    Args:
      cell: the cell whose params, initial carry and output size stay.
      structure: a `Gated`, an `Affine` or a `LinearAttention`.

    Returns:
      A `Cell`.

    Example:
      >>> def gate(_, x_part, h_part, h):
      ...     return jnp.tanh(x_part + h_part)[..., 0, :]
      >>> inner = gated_cell(2, gates=("hidden",), gate=gate)
      >>> doubled = inner.structure._replace(readout=lambda params, carry, x: 2 * carry)
      >>> cell = restructured(inner, doubled)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> h, y = cell.step(params, cell.initial_carry(params), jnp.ones(3))
      >>> bool((y == 2 * h).all())
      True
    """
    return cell._replace(step=step_of(structure), structure=structure)


def _gated_step(structure: Gated) -> Callable:
    def step(params: Params, carry: Carry, x: Any) -> tuple[Carry, Any]:
        gate_params = structure.gate_params(params)
        x_part = structure.project(params, x)
        fed_back = structure.feedback(gate_params, x_part, structure.hidden(carry))
        h_part = ops.product(fed_back, structure.recurrent(params), name="carry", size_name="hidden_size")
        carry = structure.gate(gate_params, x_part, h_part, carry)
        return carry, structure.readout(params, carry, x)

    return step


def _affine_step(structure: Affine) -> Callable:
    def step(params: Params, carry: Carry, x: Any) -> tuple[Carry, Any]:
        decay, update = structure.coefficients(params, x)
        carry = jax.tree.map(lambda a, c, b: a * c + b, decay, carry, update)
        return carry, structure.readout(params, carry, x)

    return step


def _attention_step(structure: LinearAttention) -> Callable:
    def step(params: Params, carry: Carry, x: Any) -> tuple[Carry, Any]:
        carry, read = ops.attention_step(carry, structure.entries(params, x))
        return carry, structure.readout(params, read, x)

    return step


def gated_cell(
    hidden_size: int,
    *,
    gates: tuple[str, ...],
    gate: Callable[[PyTree, Any, Array, Carry], Carry],
    initial_carry: str = "learned",
    zeros: Callable[[jnp.dtype], Carry] | None = None,
    hidden: Callable[[Carry], Array] = lambda carry: carry,
    gate_params: Callable[[Params], PyTree] = lambda params: (),
    project: Callable[[Params, Any], Any] | None = None,
    recurrent: Callable[[Params], Array] = lambda params: params.recurrent_kernel,
    readout: Callable[[Params, Carry, Any], Any] | None = None,
    feedback_size: int | None = None,
    output_size: int | None = None,
    complete: Callable[[Key, GatedParams], Params] | None = None,
    additive: bool = False,
) -> Cell:
    """A cell from the names of its gates and one function that applies them.

    Equations: `x_part = x W + bias`, `h_part = h U`, `carry' = gate(gate_params, x_part, h_part, carry)`,
    with a gate axis in `W`, `U` and the bias. Everything else has a default that fits a cell whose carry is
    its hidden vector.

    Args:
      hidden_size: `H`.
      gates: the names of the gates, in the order of the gate axis.
      gate: `(gate_params, x_part[*B, G, H], h_part[*B, G, H], carry) -> carry`; must treat each row of the
        batch by itself.
      initial_carry: `"learned"`, a parameter drawn at random by `init`, or `"zeros"`.
      zeros: `(dtype) -> carry`, the carry of zeros without batch axes; by default `[H]`.
      hidden: `(carry) -> h`, what the recurrent kernel multiplies; by default the carry itself.
      gate_params: `(params) -> pytree`, further parameters that `gate` reads.
      project: `(params, x) -> x_part`; by default `x W + bias`.
      recurrent: `(params) -> U`; by default `params.recurrent_kernel`.
      readout: `(params, carry, x) -> y`; by default the hidden vector.
      feedback_size: the features of `hidden(carry)`, by default `H`.
      output_size: the features of `y`, by default `feedback_size`.
      complete: `(key, GatedParams) -> params`, adds what a cell has beyond `GatedParams`, or changes how
        kernels start.
      additive: whether `gate` reads nothing of the two parts but their sum `x_part + h_part`; its gradient is
        faster then, and takes less memory.

    Returns:
      A `Cell` with a `Gated` structure, which every backend for gated cells runs.

    Raises:
      ValueError: if a size is not positive, there is no gate, or `initial_carry` is neither word.
      TypeError: if a size is not an integer, `gates` is no tuple of names, or a function cannot be called.

    Example:
      >>> def gate(_, x_part, h_part, h):  # the update-gate RNN of Collins et al. (2017), eq. 5
      ...     update, candidate = jnp.moveaxis(x_part + h_part, -2, 0)
      ...     update = jax.nn.sigmoid(update)
      ...     return update * h + (1 - update) * jnp.tanh(candidate)
      >>> cell = gated_cell(4, gates=("update", "candidate"), gate=gate, additive=True)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, y = cell.step(params, cell.initial_carry(params, (5,)), jnp.ones((5, 3)))
      >>> y.shape
      (5, 4)
    """
    fed_back_size = hidden_size if feedback_size is None else feedback_size
    output_size = fed_back_size if output_size is None else output_size
    check_size("hidden_size", hidden_size)
    check_size("feedback_size", fed_back_size)
    check_size("output_size", output_size)
    if not isinstance(gates, (tuple, list)):
        raise TypeError(
            f"gates is {shown(gates)}, expected a tuple of names, such as ('update', 'candidate')."
        )
    if not gates:
        raise ValueError("gates is empty, expected the name of at least one gate.")
    check_initial_carry(initial_carry)
    check_flag("additive", additive)
    needed = {"gate": gate, "hidden": hidden, "gate_params": gate_params, "recurrent": recurrent}
    optional = {"zeros": zeros, "project": project, "readout": readout, "complete": complete}
    for name, function in (needed | optional).items():
        if name in needed or function is not None:
            check_function(name, function)
    zeros = zeros or (lambda dtype: jnp.zeros((hidden_size,), dtype))

    def init(key: Key, input_size: int) -> Params:
        check_key(key)
        check_size("input_size", input_size)
        input_key, recurrent_key, carry_key, complete_key = jax.random.split(key, 4)
        dtype = ops.default_dtype()
        params = GatedParams(
            input_kernel=ops.input_kernel(input_key, input_size, len(gates), hidden_size),
            recurrent_kernel=ops.recurrent_kernel(recurrent_key, fed_back_size, len(gates), hidden_size),
            bias=jnp.zeros((len(gates), hidden_size), dtype),
            initial_carry=ops.learned_carry(carry_key, zeros(dtype)) if initial_carry == "learned" else None,
        )
        return complete(complete_key, params) if complete else params

    structure = Gated(
        project=project or InputProduct(),
        recurrent=recurrent,
        gate_params=gate_params,
        gate=gate,
        hidden=hidden,
        feedback=unchanged,
        readout=readout or (lambda params, carry, x: hidden(carry)),
        merge=PartsSum() if additive else None,
    )
    return Cell(
        init=init,
        initial_carry=lambda params, batch_shape=(): start(
            params, zeros, batch_shape, params.recurrent_kernel
        ),
        step=step_of(structure),
        output_size=output_size,
        structure=structure,
    )


def start(
    params: Params, zeros: Callable[[jnp.dtype], Carry], batch_shape: tuple[int, ...], kernel: Array
) -> Carry:
    """The initial carry of params: the learned one, or zeros, for every row of a batch.

    Carries are held in at least float32, whatever the dtype of the params.

    Args:
      params: params with the field `initial_carry`.
      zeros: `(dtype) -> carry` without batch axes.
      batch_shape: the batch axes `*B`.
      kernel: one of the params, whose dtype is theirs.

    Returns:
      A carry, each leaf `[*B, ...]`.

    Raises:
      TypeError: if `batch_shape` is no tuple.

    Example:
      >>> kernel = jnp.ones((2, 1, 2), jnp.bfloat16)
      >>> params = GatedParams(None, kernel, None, None)
      >>> start(params, lambda dtype: jnp.zeros((2,), dtype), (3,), kernel).dtype
      dtype('float32')
    """
    if not isinstance(batch_shape, (tuple, list)):
        raise TypeError(f"batch_shape is {shown(batch_shape)}, expected a tuple of sizes, such as (32,).")
    dtype = ops.accumulation_dtype(kernel.dtype)
    carry = zeros(dtype) if params.initial_carry is None else params.initial_carry
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf.astype(dtype), (*batch_shape, *leaf.shape)), carry)


def check_cell(cell: Cell) -> None:
    """Refuses what is not a cell.

    Args:
      cell: the argument of that name.

    Raises:
      TypeError: if `cell` is not a `Cell`.

    Example:
      >>> check_cell(gated_cell)
      Traceback (most recent call last):
      TypeError: cell is a function, expected a Cell such as seqjax.lstm(128). Call the factory: gated_cell...
    """
    if isinstance(cell, Cell):
        return
    hint = " A layer runs over time already: layer.unroll(params, xs)." if hasattr(cell, "unroll") else ""
    raise TypeError(
        f"cell is {kind_of(cell)}, expected a Cell such as seqjax.lstm(128).{hint or factory_hint(cell)}"
    )
