"""Weights of torch's recurrent modules, as names and plain arrays.

Every converter from torch accepts tracers, so that it can stand inside `jax.grad`: a gradient with respect to
the state dict carries torch's names.

| torch | seqjax |
| --- | --- |
| `weight_ih_l0[G * H, D]`, gates in blocks of rows | `input_kernel[D, G, H]` |
| `weight_hh_l0[G * H, P]` | `recurrent_kernel[P, G, H]` |
| `bias_ih_l0[G * H]` and `bias_hh_l0[G * H]` | their sum, `bias[G, H]` |
| a GRU's last block of `bias_hh_l0`, `b_hn` | `candidate_bias[H]` instead |
| `weight_hr_l0[P, H]` | `projection_kernel[H, P]` |
| gates `i, f, g, o` of an LSTM | input, forget, candidate, output |
| gates `r, z, n` of a GRU | reset, update, candidate |
| `_l1` in one direction | `params[1]` |
| `_l1` and `_l1_reverse` in two | `params[1].forward` and `params[1].backward` |

One bias where torch adds two has the gradient of each of them, so that a step of plain gradient descent moves
torch's sum twice as far.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.cell import Cell
from seqjax.cells.elman import Activation
from seqjax.interop import arrays, weights
from seqjax.interop.torch.hidden_state import directions_of
from seqjax.layers import BidirectionalParams, Layer, bidirectional, recurrent, stack
from seqjax.types import Array, Params

KINDS: dict[str, tuple[str, Activation]] = {
    "rnn_tanh": ("elman", jnp.tanh),
    "rnn_relu": ("elman", jax.nn.relu),
    "lstm": ("lstm", jnp.tanh),
    "gru": ("gru", jnp.tanh),
}
"""The family and its activation, by `module.mode.lower()`."""

Shape = tuple[int, ...]


def from_state_dict(state_dict: Mapping[str, Any], kind: str, *, prefix: str = "") -> tuple[Layer, tuple]:
    """A network and its params from the state dict of `torch.nn.RNN`, `LSTM` or `GRU`.

    Sizes, layers, directions, biases and the projection are read from the names and shapes. What a state dict
    does not hold is not restored: dropout between layers, and `batch_first` (here time is first).

    Args:
      state_dict: `{name: array}`, the values numpy or jax arrays or torch tensors on the CPU.
      kind: `"rnn_tanh"`, `"rnn_relu"`, `"lstm"` or `"gru"`, which is `module.mode.lower()`.
      prefix: what stands before the names of a module within a larger one, such as `"encoder."`. Without it,
        every key must belong to the module.

    Returns:
      A `stack` with one entry a layer, recurrent or bidirectional, whose initial carries are zeros, and its
      params, a tuple.

    Raises:
      TypeError: if `state_dict` is no mapping or a value is no floating array.
      ValueError: if `kind` is none of the four, a key is missing or unexpected, or a shape does not fit.

    Example:
      >>> state_dict = {"weight_ih_l0": np.ones((4, 3)), "weight_hh_l0": np.ones((4, 4))}
      >>> network, params = from_state_dict(state_dict, "rnn_tanh")
      >>> params[0].input_kernel.shape, network.output_size(3)
      ((3, 1, 4), 4)
    """
    arrays.check_choice("kind", kind, KINDS)
    found = _under(state_dict, prefix)
    suffixes = _suffixes(found)
    state = _read(found, kind, [suffix for pair in suffixes for suffix in pair], prefix)
    layers, params = [], []
    input_size = _input_size(state, "_l0")
    for pair in suffixes:
        read = [_direction(state, kind, suffix, input_size) for suffix in pair]
        cells, cell_params = [cell for cell, _ in read], [part for _, part in read]
        two = len(pair) == 2
        layers.append(bidirectional(*cells) if two else recurrent(cells[0]))
        params.append(BidirectionalParams(*cell_params) if two else cell_params[0])
        input_size = sum(cell.output_size for cell in cells)
    return stack(*layers), tuple(params)


def to_state_dict(
    params: Sequence[Params], kind: str, *, bias: bool = True, prefix: str = ""
) -> dict[str, np.ndarray]:
    """The state dict of `torch.nn.RNN`, `LSTM` or `GRU` from the params of a stack.

    Args:
      params: one entry a layer, each a cell's params or `BidirectionalParams` of two.
      kind: as `from_state_dict` takes it.
      bias: whether the module has biases. Ours go to `bias_ih`; `bias_hh` is zeros, but for a GRU's `b_hn`.
      prefix: what to put before each name.

    Returns:
      `{name: array}`, in the order of torch's names, for
      `module.load_state_dict({name: torch.from_numpy(array) for name, array in ...})`. Cast bfloat16 params
      first: torch does not read numpy's.

    Raises:
      TypeError: if `params` is no tuple or list of params of that kind.
      ValueError: if `kind` is none of the four, or torch has no place for something: a learned initial carry,
        peepholes, layer normalisation, layers of different sizes or directions, a bias with `bias=False`.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.gru(4, initial_carry="zeros")
      >>> list(to_state_dict((cell.init(jax.random.key(0), 3),), "gru"))
      ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """
    arrays.check_choice("kind", kind, KINDS)
    layers = directions_of("params", params)
    state: dict[str, np.ndarray] = {}
    for index, layer in enumerate(layers):
        for place, suffix, cell_params in zip(*_places(index, len(layer)), layer, strict=True):
            name = f"params[{index}]{place}"
            part = _matrices(name, kind, cell_params, bias)
            _check_fits_torch(name, layers, index, cell_params)
            state |= {prefix + stem + suffix: array for stem, array in part.items()}
    return state


def from_cell_state_dict(
    state_dict: Mapping[str, Any], kind: str, *, prefix: str = ""
) -> tuple[Cell, Params]:
    """A cell and its params from the state dict of `torch.nn.RNNCell`, `LSTMCell` or `GRUCell`.

    Args:
      state_dict: `{name: array}`.
      kind: as `from_state_dict` takes it.
      prefix: what stands before the names.

    Returns:
      A cell whose initial carry is zeros, and its params.

    Raises:
      TypeError: if `state_dict` is no mapping or a value is no floating array.
      ValueError: if `kind` is none of the four, a key is missing or unexpected, or a shape does not fit.

    Example:
      >>> state_dict = {"weight_ih": np.ones((12, 3)), "weight_hh": np.ones((12, 4))}
      >>> from_cell_state_dict(state_dict, "gru")[1].input_kernel.shape
      (3, 3, 4)
    """
    arrays.check_choice("kind", kind, KINDS)
    state = _read(_under(state_dict, prefix), kind, [""], prefix)
    return _direction(state, kind, "", _input_size(state, ""))


def to_cell_state_dict(
    params: Params, kind: str, *, bias: bool = True, prefix: str = ""
) -> dict[str, np.ndarray]:
    """The state dict of `torch.nn.RNNCell`, `LSTMCell` or `GRUCell`.

    Args:
      params: a cell's params.
      kind: as `from_state_dict` takes it.
      bias: whether the module has biases.
      prefix: what to put before each name.

    Returns:
      `{name: array}`.

    Raises:
      TypeError: if `params` is of another kind.
      ValueError: as of `to_state_dict`, or if there is a projection, which torch's cells lack.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.lstm(4, initial_carry="zeros")
      >>> to_cell_state_dict(cell.init(jax.random.key(0), 3), "lstm")["weight_ih"].shape
      (16, 3)
    """
    arrays.check_choice("kind", kind, KINDS)
    matrices = _matrices("params", kind, params, bias)
    if "weight_hr" in matrices:
        raise ValueError(
            "params.projection_kernel is set, expected None: torch.nn.LSTMCell has no projection. "
            "Export to torch.nn.LSTM: to_state_dict((params,), 'lstm')."
        )
    return {prefix + stem: array for stem, array in matrices.items()}


def _under(state_dict: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """What stands under the prefix, by the names that follow it."""
    arrays.check_mapping("state_dict", state_dict, "Pass module.state_dict().")
    return {name[len(prefix) :]: value for name, value in state_dict.items() if name.startswith(prefix)}


def _suffixes(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The suffixes of each layer: one, or two where there is a backward direction."""
    pattern = re.compile(r"(?:weight|bias)_(?:ih|hh|hr)_l([0-9]+)(_reverse)?")
    matches = [match for name in found if (match := pattern.fullmatch(name))]
    # Layers are counted and not parsed: a key with an enormous number then is one unexpected key.
    num_layers = max(len({match[1] for match in matches}), 1)
    two = any(match[2] for match in matches)
    return [(f"_l{i}", f"_l{i}_reverse") if two else (f"_l{i}",) for i in range(num_layers)]


def _read(found: Mapping[str, Any], kind: str, suffixes: list[str], prefix: str) -> dict[str, Array]:
    """The arrays of a module, after a look at the names."""
    stems = ["weight_ih", "weight_hh"]
    stems += ["bias_ih", "bias_hh"] if any(name.startswith("bias_") for name in found) else []
    # Only nn.LSTM projects, and no cell does; elsewhere the name is unexpected.
    projected = kind == "lstm" and suffixes != [""] and any(name.startswith("weight_hr") for name in found)
    stems += ["weight_hr"] if projected else []
    expected = [stem + suffix for suffix in suffixes for stem in stems]
    inner = next((name for name in found if name.endswith("." + expected[0])), None)
    hint = "'encoder.'" if inner is None else repr(prefix + inner.removesuffix(expected[0]))
    mend = f"Pass the state dict of one module; within a larger one, name it with prefix={hint}."
    what = f"state_dict under the prefix {prefix!r}" if prefix else "state_dict"
    arrays.check_names(what, found, expected, mend)
    return {name: arrays.as_array(f"state_dict[{prefix + name!r}]", value) for name, value in found.items()}


def _shapes(kind: str, input_size: int, hidden_size: int, projection_size: int | None) -> dict[str, Shape]:
    """Torch's shapes, in the order of its names."""
    rows = weights.FAMILIES[KINDS[kind][0]][1] * hidden_size
    return {
        "weight_ih": (rows, input_size),
        "weight_hh": (rows, hidden_size if projection_size is None else projection_size),
        "bias_ih": (rows,),
        "bias_hh": (rows,),
        "weight_hr": (projection_size or 0, hidden_size),
    }


def _input_size(state: Mapping[str, Array], suffix: str) -> int:
    name = "weight_ih" + suffix
    arrays.check_matrix(f"state_dict[{name!r}]", state[name])
    return state[name].shape[1]


def _direction(state: Mapping[str, Array], kind: str, suffix: str, input_size: int) -> tuple[Cell, Params]:
    """The cell of one direction of one layer."""
    for stem in ("weight_hh", "weight_hr"):
        if stem + suffix in state:
            arrays.check_matrix(f"state_dict[{stem + suffix!r}]", state[stem + suffix])
    projection = state.get("weight_hr" + suffix)
    hidden_size = (state["weight_hh" + suffix] if projection is None else projection).shape[1]
    expected = _shapes(kind, input_size, hidden_size, None if projection is None else projection.shape[0])
    family, activation = KINDS[kind]
    num_gates = weights.FAMILIES[family][1]
    for stem, shape in expected.items():
        if stem + suffix in state:
            mend = (
                f"Kind {kind!r} has {num_gates} gates, here of {hidden_size} units that read {input_size} "
                f"features. Pass the kind of the module, module.mode.lower(), and all of its arrays."
            )
            arrays.check_shape(f"state_dict[{stem + suffix!r}]", state[stem + suffix], shape, mend)
    zeros = jnp.zeros((num_gates * hidden_size,), state["weight_ih" + suffix].dtype)
    biases = [
        state.get(stem + suffix, zeros).reshape(num_gates, hidden_size) for stem in ("bias_ih", "bias_hh")
    ]
    return weights.assemble(
        family,
        _kernel(state["weight_ih" + suffix], num_gates),
        _kernel(state["weight_hh" + suffix], num_gates),
        *biases,
        projection_kernel=None if projection is None else projection.T,
        activation=activation,
    )


def _kernel(weight: Array, num_gates: int) -> Array:
    """`[G * H, D]` to `[D, G, H]`."""
    rows, columns = weight.shape
    return weight.T.reshape(columns, num_gates, rows // num_gates)


def _matrices(name: str, kind: str, params: Params, bias: bool) -> dict[str, np.ndarray]:
    """Torch's arrays of one direction, by their names without a suffix."""
    weights.check_params(name, KINDS[kind][0], params)
    input_bias, recurrent_bias = weights.split_bias(params)
    if recurrent_bias is None:
        raise ValueError(
            f"{name}.candidate_bias is None, expected an array: torch's GRU resets after the product. "
            f"Export a gru made with reset_after=True."
        )
    matrices = {
        "weight_ih": _plain(params.input_kernel.reshape(len(params.input_kernel), -1).T),
        "weight_hh": _plain(params.recurrent_kernel.reshape(len(params.recurrent_kernel), -1).T),
    }
    if bias:
        matrices |= {"bias_ih": _plain(input_bias.ravel()), "bias_hh": _plain(recurrent_bias.ravel())}
    else:
        weights.check_no_bias(f"{name}.bias", jnp.stack([input_bias, recurrent_bias]), "Pass bias=True.")
    projection = getattr(params, "projection_kernel", None)
    return matrices if projection is None else matrices | {"weight_hr": _plain(projection.T)}


def _plain(array: Array) -> np.ndarray:
    # A copy, because torch.from_numpy warns of arrays that cannot be written to, as jax's are.
    return np.array(array, order="C")


def _check_fits_torch(name: str, layers: Sequence[tuple], index: int, params: Params) -> None:
    """Refuses layers of which torch's modules, which have one size for all, cannot be made."""
    first = layers[0][0]
    if len(layers[index]) != len(layers[0]):
        raise ValueError(
            f"params[{index}] has {len(layers[index])} directions and params[0] has {len(layers[0])}, "
            f"expected the same: a torch module has one setting for all layers. Export several modules."
        )
    mend = "A torch module has one hidden size and one projection for all layers: export several modules."
    arrays.check_shape(
        f"{name}.recurrent_kernel", params.recurrent_kernel, first.recurrent_kernel.shape, mend
    )
    if index == 0:
        input_size = first.input_kernel.shape[0]
    else:
        input_size = len(layers[0]) * first.recurrent_kernel.shape[0]
    mend = f"That reads {input_size} features, what comes in or what all directions of the layer before give."
    shape = (input_size, *first.input_kernel.shape[1:])
    arrays.check_shape(f"{name}.input_kernel", params.input_kernel, shape, mend)


def _places(index: int, num_directions: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where the directions of a layer stand here, and what their names end in there."""
    if num_directions == 1:
        return ("",), (f"_l{index}",)
    return (".forward", ".backward"), (f"_l{index}", f"_l{index}_reverse")
