"""How recurrent networks are run by seqjax and its peers: flax, haiku, equinox, jax' cuDNN, torch.

All take the weights that seqjax drew, and a batch with time first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

import harness
import jax
import jax.numpy as jnp
import numpy as np

import seqjax as sj
from seqjax import interop

linen = harness.peer("flax.linen", "pip install flax")
nnx = harness.peer("flax.nnx", "pip install flax")
haiku = harness.peer("haiku", "pip install dm-haiku")
equinox = harness.peer("equinox", "pip install equinox")
torch = harness.peer("torch", "pip install torch")

TORCH_KIND = {"lstm": "lstm", "gru": "gru", "elman": "rnn_tanh"}
Run = Callable[[Any, Any, Any], Any]


class Problem(NamedTuple):
    """A network with weights, and a batch of sequences.

    Attributes:
      kind: of its cells.
      params: one entry a layer: a cell's, or `BidirectionalParams` of two cells.
      xs: `[T, B, D]`.
      output_weights: `[T, B, H]`, or `[T, B, 2 H]` of a bidirectional network; zeros in the padding.
      lengths: `[B]`, or `None` where all have `T` steps.
    """

    kind: str
    params: Any
    xs: np.ndarray
    output_weights: np.ndarray
    lengths: np.ndarray | None = None

    @classmethod
    def make(
        cls,
        kind: str,
        batch: int,
        num_steps: int,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        ragged: bool = False,
        seed: int = 0,
    ) -> Problem:
        """Weights as seqjax draws them, starting from zeros, which is all that some peers can.

        Lengths of a ragged batch are uniform from 1 to `num_steps`, which the first sequence has.
        """
        layer = seqjax_layer(kind, hidden_size, num_layers, bidirectional)
        params = layer.init(jax.random.key(seed), input_size)
        weights_of = np.random.default_rng([0, seed])
        random = np.random.default_rng(0)

        def with_bias(params: Any) -> Any:
            # Biases are zeros when new, which would hide one that is read in another place.
            noise = 0.1 * weights_of.standard_normal(params.bias.shape, dtype=np.float32)
            return params.replace(bias=params.bias + noise)

        params = jax.tree.map(
            lambda cell: with_bias(cell) if hasattr(cell, "bias") else cell,
            params,
            is_leaf=lambda node: hasattr(node, "bias"),
        )
        xs = random.standard_normal((num_steps, batch, input_size), dtype=np.float32)
        width = hidden_size * (2 if bidirectional else 1)
        output_weights = random.standard_normal((num_steps, batch, width), dtype=np.float32)
        if not ragged:
            return cls(kind, params, xs, output_weights)
        lengths = random.integers(1, num_steps + 1, batch).astype(np.int32)
        lengths[0] = num_steps
        problem = cls(kind, params, xs, output_weights, lengths)
        return problem._replace(output_weights=output_weights * problem.valid[..., None])

    @property
    def valid(self) -> np.ndarray:
        """`[T, B]`: which steps are no padding."""
        num_steps, batch, _ = self.xs.shape
        lengths = np.full(batch, num_steps) if self.lengths is None else self.lengths
        return np.arange(num_steps)[:, None] < lengths

    @property
    def bidirectional(self) -> bool:
        """Whether each layer runs from both ends."""
        return isinstance(self.params[0], sj.layers.BidirectionalParams)

    @property
    def layers(self) -> list[tuple[Any, ...]]:
        """The params of the cells: for each layer those of its one or two directions."""
        return [(p.forward, p.backward) if self.bidirectional else (p,) for p in self.params]

    @property
    def input_size(self) -> int:
        """`D`."""
        return int(self.xs.shape[-1])

    @property
    def hidden_size(self) -> int:
        """`H`, of one direction."""
        return int(self.output_weights.shape[-1]) // len(self.layers[0])


class Network(NamedTuple):
    """A way of jax to run a network: `(weights, xs, lengths) -> ys`, in the padding anything finite."""

    name: str
    weights: Any
    run: Run
    note: str = ""
    counts: bool = True


def networks(
    problem: Problem,
    methods: Mapping[str, Any],
    peers: Collection[str] = ("linen", "nnx", "haiku", "equinox"),
) -> Iterator[Network]:
    """Those of jax that can be imported and have such a network; first ours, one for each of `methods`."""
    for name, method in methods.items():
        yield Network(f"seqjax, {name}" if name else "seqjax", *_ours(problem, method), counts=not name)
    if problem.kind not in TORCH_KIND:
        return
    if linen and "linen" in peers:
        for variant in ("LSTMCell", "OptimizedLSTMCell") if problem.kind == "lstm" else ("",):
            yield Network(f"flax, linen {variant}".strip(), *_linen(problem, variant))
    if nnx and "nnx" in peers:
        yield Network("flax, nnx", *_nnx(problem))
    if problem.bidirectional and problem.lengths is not None:
        return  # the others have nothing that reverses sequences within their lengths
    if haiku and "haiku" in peers and problem.kind == "lstm":
        note = "its GRU and Elman network compute something else"
        yield Network("haiku", *_haiku(problem, deep=False), note=note)
        if len(problem.layers) > 1 and not problem.bidirectional:
            yield Network("haiku, DeepRNN", *_haiku(problem, deep=True), note="one loop over all layers")
    if equinox and "equinox" in peers and problem.kind != "elman":
        yield Network("equinox", *_equinox(problem), note="has no Elman network")


def seqjax_layer(
    kind: str, hidden_size: int, num_layers: int = 1, bidirectional: bool = False, method: Any = "auto"
) -> sj.layers.Layer:
    """Our network, a stack."""
    part = sj.recurrent(getattr(sj, kind)(hidden_size, initial_carry="zeros"), method=method)
    return sj.stack(*[sj.bidirectional(part) if bidirectional else part] * num_layers)


def _ours(problem: Problem, method: Any) -> tuple[Any, Run]:
    layer = seqjax_layer(
        problem.kind, problem.hidden_size, len(problem.layers), problem.bidirectional, method
    )
    return problem.params, lambda params, xs, lengths: layer.unroll(params, xs, lengths=lengths)[1]


def _linen(problem: Problem, variant: str) -> tuple[Any, Run]:
    name = {"lstm": variant, "gru": "GRUCell", "elman": "SimpleCell"}[problem.kind]
    kind = {"lstm": "lstm", "gru": "gru", "elman": "simple"}[problem.kind]
    rnns = [linen.RNN(getattr(linen, name)(problem.hidden_size), time_major=True) for _ in problem.layers[0]]
    # A module holds no weights, and finds the size of its input: one does for all layers.
    module = linen.Bidirectional(*rnns, time_major=True) if problem.bidirectional else rnns[0]

    def run(weights: Any, xs: Any, lengths: Any) -> Any:
        for layer in weights:
            xs = module.apply({"params": layer}, xs, seq_lengths=lengths)
        return xs

    cells = [[interop.flax.to_linen(params, kind) for params in layer] for layer in problem.layers]
    return [_as_flax(layer) for layer in cells], run


def _nnx(problem: Problem) -> tuple[Any, Run]:
    name, kind = {
        "lstm": ("OptimizedLSTMCell", "optimized_lstm"),
        "gru": ("GRUCell", "gru"),
        "elman": ("SimpleCell", "simple"),
    }[problem.kind]
    weights, fixed = [], []
    for layer in problem.layers:
        sizes = (len(layer[0].input_kernel), problem.hidden_size)
        rnns = [nnx.RNN(getattr(nnx, name)(*sizes, rngs=nnx.Rngs(0)), time_major=True) for _ in layer]
        graph, state = nnx.split(nnx.Bidirectional(*rnns, time_major=True) if len(rnns) == 2 else rnns[0])
        # What its cells keep besides weights: keys for an initial carry, which is given here instead.
        params, rest = state.filter(nnx.Param), state.filter(lambda _, leaf: not isinstance(leaf, nnx.Param))
        nnx.replace_by_pure_dict(params, _as_flax([interop.flax.to_nnx(cell, kind) for cell in layer]))
        weights.append(params)
        fixed.append((graph, rest))

    def run(weights: Any, xs: Any, lengths: Any) -> Any:
        start: Any = jnp.zeros((xs.shape[1], problem.hidden_size))
        start = (start, start) if problem.kind == "lstm" else start
        start = (start, start) if problem.bidirectional else start
        for params, (graph, rest) in zip(weights, fixed, strict=True):
            xs = nnx.merge(graph, params, rest)(xs, initial_carry=start, seq_lengths=lengths)
        return xs

    return weights, run


def _as_flax(directions: list[Any]) -> dict[str, Any]:
    """The params of an `RNN`, or of a `Bidirectional` of two, around those of cells."""
    if len(directions) == 1:
        return {"cell": directions[0]}
    return {"forward_rnn": {"cell": directions[0]}, "backward_rnn": {"cell": directions[1]}}


def _haiku(problem: Problem, deep: bool) -> tuple[Any, Run]:
    """Layer after layer, or all of them at each step."""

    def network(xs: Any) -> Any:
        cores = [[haiku.LSTM(problem.hidden_size) for _ in layer] for layer in problem.layers]
        if deep:
            cores = [[haiku.DeepRNN([core for layer in cores for core in layer])]]
        for layer in cores:
            ys = [
                haiku.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]), reverse=bool(place))[0]
                for place, core in enumerate(layer)
            ]
            xs = _joined(ys)
        return xs

    transformed = haiku.without_apply_rng(haiku.transform(network))
    # Gates in the order input, candidate, forget, output; its forget gate adds one.
    order = np.array([0, 2, 1, 3])
    weights = {}
    for number, params in enumerate(params for layer in problem.layers for params in layer):
        kernel = np.concatenate([params.input_kernel, params.recurrent_kernel])
        bias = np.array(params.bias) - np.array([0, 1, 0, 0])[:, None]
        arrays = {"w": kernel[:, order].reshape(len(kernel), -1), "b": bias[order].reshape(-1)}
        name = f"lstm_{number}" if number else "lstm"
        weights[f"{name}/linear"] = {part: np.float32(array) for part, array in arrays.items()}
    return weights, lambda weights, xs, lengths: transformed.apply(weights, xs)


def _equinox(problem: Problem) -> tuple[Any, Run]:
    cells = [[_equinox_cell(problem.kind, params) for params in layer] for layer in problem.layers]

    def direction(cell: Any, xs: Any, backward: bool) -> Any:
        zeros = jnp.zeros((xs.shape[1], problem.hidden_size))

        def step(carry: Any, x: Any) -> tuple[Any, Any]:
            carry = jax.vmap(cell)(x, carry)
            return carry, carry[0] if problem.kind == "lstm" else carry

        start = (zeros, zeros) if problem.kind == "lstm" else zeros
        return jax.lax.scan(step, start, xs, reverse=backward)[1]

    weights, rest = equinox.partition(cells, equinox.is_array)

    def run(weights: Any, xs: Any, lengths: Any) -> Any:
        for layer in equinox.combine(weights, rest):
            xs = _joined([direction(cell, xs, backward=bool(place)) for place, cell in enumerate(layer)])
        return xs

    return weights, run


def _equinox_cell(kind: str, params: Any) -> Any:
    input_size, _, hidden_size = params.input_kernel.shape
    factory = {"lstm": equinox.nn.LSTMCell, "gru": equinox.nn.GRUCell}[kind]
    cell = factory(input_size, hidden_size, key=jax.random.key(0))
    leaves = [_flat(params.input_kernel), _flat(params.recurrent_kernel)]
    if kind == "lstm":
        leaves.append(np.asarray(params.bias).reshape(-1))
        where = lambda cell: (cell.weight_ih, cell.weight_hh, cell.bias)  # noqa: E731
    else:
        leaves += [np.asarray(params.bias).reshape(-1), np.asarray(params.candidate_bias)]
        where = lambda cell: (cell.weight_ih, cell.weight_hh, cell.bias, cell.bias_n)  # noqa: E731
    return equinox.tree_at(where, cell, tuple(map(jnp.asarray, leaves)))


def _joined(directions: list[Any]) -> Any:
    return jnp.concatenate(directions, axis=-1) if len(directions) > 1 else directions[0]


def _flat(kernel: Any) -> np.ndarray:
    """`[D, G, H]` -> `[G H, D]`, as cuDNN, torch and equinox have it."""
    return np.ascontiguousarray(np.asarray(kernel).reshape(len(kernel), -1).T)


def jax_cudnn(problem: Problem) -> tuple[Any, Run]:
    """`jax.experimental.rnn`, for a single LSTM in one direction."""
    from jax.experimental import rnn

    num_steps, batch, input_size = problem.xs.shape
    hidden_size = problem.hidden_size
    (params,) = problem.params
    bias = np.asarray(params.bias).reshape(-1)
    parts = (_flat(params.input_kernel), _flat(params.recurrent_kernel), bias, np.zeros_like(bias))
    weights = np.concatenate([part.reshape(-1) for part in parts])

    def run(weights: Any, xs: Any, lengths: Any) -> Any:
        zeros = jnp.zeros((1, batch, hidden_size))
        ys, _, _ = rnn.lstm(
            jnp.swapaxes(xs, 0, 1),
            zeros,
            zeros,
            weights,
            jnp.full((batch,), num_steps, jnp.int32),
            input_size,
            hidden_size,
            1,
            0.0,
            False,
        )
        return jnp.swapaxes(ys, 0, 1)

    return weights, run


def torch_module(problem: Problem, device: str) -> Any:
    """`torch.nn.LSTM`, `GRU` or `RNN` with the problem's weights."""
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "elman": torch.nn.RNN}[problem.kind]
    network = module(
        problem.input_size, problem.hidden_size, len(problem.layers), bidirectional=problem.bidirectional
    )
    arrays = interop.torch.to_state_dict(problem.params, TORCH_KIND[problem.kind])
    network.load_state_dict({name: torch.tensor(np.asarray(array)) for name, array in arrays.items()})
    return network.to(device)


def torch_outputs(network: Any, xs: Any, lengths: Any) -> Any:
    """`ys`, by way of packed sequences where there are lengths, which torch wants on the CPU."""
    if lengths is None:
        return network(xs)[0]
    packed = torch.nn.utils.rnn.pack_padded_sequence(xs, lengths, enforce_sorted=False)
    return torch.nn.utils.rnn.pad_packed_sequence(network(packed)[0], total_length=len(xs))[0]
