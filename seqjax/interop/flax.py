"""Weights of flax's recurrent cells, linen and nnx, as nested dicts of arrays.

Where each cell keeps what is a table, `LINEN` and `NNX`, in the order of seqjax's gates. The equations agree
with ours, with three things to know:

- linen's `GRUCell` has a bias within the reset gate (`hn`), our `candidate_bias`. That of nnx has none,
  though its docstring shows one: it is read as zeros, and an export of another is refused.
- linen's `MGUCell` keeps with the gate that `seqjax.minimal_gated_unit` writes with: it becomes
  `seqjax.interop.linen_mgu`.
- `SimpleCell(residual=True)` adds the old state, which is an identity matrix in the recurrent kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from seqjax.cell import Cell
from seqjax.cells.elman import Activation
from seqjax.interop import arrays, weights
from seqjax.types import Array, Params


class Layout(NamedTuple):
    """Where a cell of flax keeps what.

    Attributes:
      family: a name in `weights.FAMILIES`.
      input: the modules with the inputs' kernels, in seqjax's order of gates; a single one holds all gates.
      recurrent: the modules with the recurrent kernels.
      biased: those among both that have a bias.
      residual: whether the cell adds its old state.
      inside: whether a gate acts on the candidate's recurrent product, where its bias stays.
    """

    family: str
    input: tuple[str, ...]
    recurrent: tuple[str, ...]
    biased: tuple[str, ...]
    residual: bool = False
    inside: bool = True


_LSTM_RECURRENT = ("hi", "hf", "hg", "ho")
_GRU = Layout("gru", ("ir", "iz", "in"), ("hr", "hz", "hn"), ("ir", "iz", "in", "hn"))
_MGU = Layout("linen_mgu", ("if", "in"), ("hf", "hn"), ("if", "in", "hn"))

LINEN: dict[str, Layout] = {
    "simple": Layout("elman", ("i",), ("h",), ("i",)),
    "simple_residual": Layout("elman", ("i",), ("h",), ("i",), residual=True),
    "lstm": Layout("lstm", ("ii", "if", "ig", "io"), _LSTM_RECURRENT, _LSTM_RECURRENT),
    "gru": _GRU,
    "mgu": _MGU,
    "mgu_without_reset": _MGU._replace(biased=("if", "in"), inside=False),
}
"""Linen's cells. `LSTMCell` and `OptimizedLSTMCell` share a layout."""

NNX: dict[str, Layout] = {
    "simple": Layout("elman", ("dense_i",), ("dense_h",), ("dense_i",)),
    "simple_residual": Layout("elman", ("dense_i",), ("dense_h",), ("dense_i",), residual=True),
    "lstm": Layout("lstm", ("ii", "if_", "ig", "io"), _LSTM_RECURRENT, _LSTM_RECURRENT),
    "optimized_lstm": Layout("lstm", ("dense_i",), ("dense_h",), ("dense_h",)),
    "gru": Layout("gru", ("dense_i",), ("dense_h",), ("dense_i",)),
}
"""The cells of nnx."""

Nested = dict[str, dict[str, Array]]


def from_linen(
    params: Mapping[str, Any],
    kind: str,
    *,
    activation: Activation = jnp.tanh,
    gate_activation: Activation = jax.nn.sigmoid,
) -> tuple[Cell, Params]:
    """A cell and its params from those of a cell of `flax.linen`.

    Args:
      params: `variables["params"]`, `{module: {"kernel": array, "bias": array}}`; tracers are welcome.
      kind: `"simple"`, `"simple_residual"`, `"lstm"` (`LSTMCell` and `OptimizedLSTMCell`), `"gru"`, `"mgu"`
        or `"mgu_without_reset"` (`MGUCell(reset_gate=False)`).
      activation: what flax calls `activation_fn`.
      gate_activation: what flax calls `gate_fn`.

    Returns:
      A cell whose initial carry is zeros, and its params. An LSTM's carry `(c, h)` is
      `LSTMCarry(cell=c, hidden=h)` here.

    Raises:
      TypeError: if `params` is no nested mapping of floating arrays.
      ValueError: if `kind` is none of the above, a name is missing or unexpected, or a shape does not fit.

    Example:
      >>> params = {"i": {"kernel": jnp.ones((3, 4)), "bias": jnp.ones(4)}, "h": {"kernel": jnp.ones((4, 4))}}
      >>> from_linen(params, "simple")[1].recurrent_kernel.shape
      (4, 1, 4)
    """
    arrays.check_choice("kind", kind, LINEN)
    return _from(params, LINEN[kind], "variables['params']", activation, gate_activation)


def to_linen(params: Params, kind: str) -> Nested:
    """The params of a cell of `flax.linen`.

    Args:
      params: a cell's params.
      kind: as `from_linen` takes it.

    Returns:
      `{module: {"kernel": array, "bias": array}}`, for `cell.apply({"params": ...}, carry, x)`.

    Raises:
      TypeError: if `params` is of another kind.
      ValueError: if `kind` is unknown, or flax has no place for something: a learned initial carry,
        peepholes, a projection, layer normalisation, a GRU that resets before the product.

    Example:
      >>> import seqjax as sj
      >>> exported = to_linen(sj.gru(4, initial_carry="zeros").init(jax.random.key(0), 3), "gru")
      >>> sorted(exported), sorted(exported["hn"]), sorted(exported["hr"])
      (['hn', 'hr', 'hz', 'in', 'ir', 'iz'], ['bias', 'kernel'], ['kernel'])
    """
    arrays.check_choice("kind", kind, LINEN)
    return _to(params, LINEN[kind])


def from_nnx(
    state: Mapping[str, Any],
    kind: str,
    *,
    activation: Activation = jnp.tanh,
    gate_activation: Activation = jax.nn.sigmoid,
) -> tuple[Cell, Params]:
    """A cell and its params from the state of a cell of `flax.nnx`.

    Args:
      state: `nnx.to_pure_dict(nnx.state(cell, nnx.Param))`; tracers are welcome.
      kind: `"simple"`, `"simple_residual"`, `"lstm"`, `"optimized_lstm"` or `"gru"`.
      activation: what flax calls `activation_fn`.
      gate_activation: what flax calls `gate_fn`.

    Returns:
      A cell whose initial carry is zeros, and its params.

    Raises:
      TypeError: if `state` is no nested mapping of floating arrays.
      ValueError: if `kind` is none of the above, a name is missing or unexpected, or a shape does not fit.

    Example:
      >>> state = {
      ...     "dense_i": {"kernel": jnp.ones((3, 12)), "bias": jnp.ones(12)},
      ...     "dense_h": {"kernel": jnp.ones((4, 12))},
      ... }
      >>> from_nnx(state, "gru")[1].candidate_bias.tolist()
      [0.0, 0.0, 0.0, 0.0]
    """
    arrays.check_choice("kind", kind, NNX)
    return _from(
        state, NNX[kind], "nnx.to_pure_dict(nnx.state(cell, nnx.Param))", activation, gate_activation
    )


def to_nnx(params: Params, kind: str) -> Nested:
    """The state of a cell of `flax.nnx`, as a pure dict.

    Args:
      params: a cell's params.
      kind: as `from_nnx` takes it.

    Returns:
      `{module: {"kernel": array, "bias": array}}`, for `nnx.replace_by_pure_dict(state, ...)`.

    Raises:
      TypeError: if `params` is of another kind.
      ValueError: if `kind` is unknown, or nnx has no place for something: as of `to_linen`, and a GRU's
        `candidate_bias` that is not zero.

    Example:
      >>> import seqjax as sj
      >>> params = sj.lstm(4, initial_carry="zeros").init(jax.random.key(0), 3)
      >>> to_nnx(params, "optimized_lstm")["dense_h"]["kernel"].shape
      (4, 16)
    """
    arrays.check_choice("kind", kind, NNX)
    return _to(params, NNX[kind])


def _from(
    params: Mapping[str, Any],
    layout: Layout,
    source: str,
    activation: Activation,
    gate_activation: Activation,
) -> tuple[Cell, Params]:
    read = _read(params, layout, f"Pass {source} of a single cell, and the kind of that cell.")
    num_gates = weights.FAMILIES[layout.family][1]

    def gates(part: str, modules: tuple[str, ...]) -> Array:
        joined = jnp.concatenate([read[f"{module}/{part}"] for module in modules], axis=-1)
        return joined.reshape(*joined.shape[:-1], num_gates, -1)

    recurrent_kernel = gates("kernel", layout.recurrent)
    if layout.residual:
        recurrent_kernel = recurrent_kernel + _identity(recurrent_kernel)
    return weights.assemble(
        layout.family,
        gates("kernel", layout.input),
        recurrent_kernel,
        gates("bias", layout.input),
        gates("bias", layout.recurrent) if layout.inside else None,
        activation=activation,
        gate_activation=gate_activation,
    )


def _read(params: Mapping[str, Any], layout: Layout, mend: str) -> dict[str, Array]:
    """Every array by `module/part`, with zeros for each bias that flax does not have."""
    arrays.check_mapping("params", params, mend)
    modules = layout.input + layout.recurrent
    arrays.check_names("params", params, modules, mend)
    read: dict[str, Array] = {}
    for module in modules:
        name = f"params[{module!r}]"
        arrays.check_mapping(name, params[module], mend)
        parts = ["kernel", "bias"] if module in layout.biased else ["kernel"]
        arrays.check_names(name, params[module], parts, mend)
        for part in parts:
            read[f"{module}/{part}"] = arrays.as_array(f"{name}[{part!r}]", params[module][part])
        arrays.check_matrix(f"{name}['kernel']", read[f"{module}/kernel"])
    input_size = read[f"{layout.input[0]}/kernel"].shape[0]
    hidden_size = read[f"{layout.recurrent[0]}/kernel"].shape[0]
    for module in modules:
        rows = input_size if module in layout.input else hidden_size
        columns = hidden_size * weights.FAMILIES[layout.family][1] // len(layout.input)
        why = f"The cell reads {input_size} features and has {hidden_size} hidden units. {mend}"
        kernel = read[f"{module}/kernel"]
        arrays.check_shape(f"params[{module!r}]['kernel']", kernel, (rows, columns), why)
        bias = read.setdefault(f"{module}/bias", jnp.zeros((columns,), kernel.dtype))
        arrays.check_shape(f"params[{module!r}]['bias']", bias, (columns,), why)
    return read


def _to(params: Params, layout: Layout) -> Nested:
    weights.check_params("params", layout.family, params)
    input_bias, recurrent_bias = weights.split_bias(params)
    _check_fits_flax(params, layout)
    recurrent_kernel = params.recurrent_kernel
    if layout.residual:
        recurrent_kernel = recurrent_kernel - _identity(recurrent_kernel)
    if recurrent_bias is None:
        recurrent_bias = jnp.zeros_like(input_bias)
    elif not set(layout.input) & set(layout.biased):
        # An LSTM's gates see the sum of both biases: flax has the one of the recurrent product alone.
        input_bias, recurrent_bias = recurrent_bias, input_bias
    halves = (
        (layout.input, params.input_kernel, input_bias),
        (layout.recurrent, recurrent_kernel, recurrent_bias),
    )
    exported: Nested = {}
    for modules, kernel, bias in halves:
        kernels = jnp.split(kernel.reshape(len(kernel), -1), len(modules), axis=-1)
        biases = jnp.split(bias.ravel(), len(modules))
        for module, module_kernel, module_bias in zip(modules, kernels, biases, strict=True):
            exported[module] = {"kernel": module_kernel}
            if module in layout.biased:
                exported[module]["bias"] = module_bias
    return exported


def _check_fits_flax(params: Params, layout: Layout) -> None:
    if getattr(params, "projection_kernel", None) is not None:
        raise ValueError(
            "params.projection_kernel is set, expected None: flax's LSTM has no projection. "
            "Export an lstm made without projection_size."
        )
    candidate_bias = getattr(params, "candidate_bias", None)
    if hasattr(params, "candidate_bias") and (candidate_bias is None) == layout.inside:
        came, expected = ("None", "an array") if candidate_bias is None else ("an array", "None")
        raise ValueError(
            f"params.candidate_bias is {came}, expected {expected}: this cell of flax resets "
            f"{'after' if layout.inside else 'nothing within'} the product. Choose the kind that fits."
        )
    if candidate_bias is not None and layout.recurrent[-1] not in layout.biased:
        mend = "nnx.GRUCell has none: export to linen's GRUCell, or train without it."
        weights.check_no_bias("params.candidate_bias", candidate_bias, mend)


def _identity(recurrent_kernel: Array) -> Array:
    """An identity matrix `[H, 1, H]`."""
    return jnp.eye(recurrent_kernel.shape[0], dtype=recurrent_kernel.dtype)[:, None, :]
