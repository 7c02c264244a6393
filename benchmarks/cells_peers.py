"""Who runs a recurrent cell over a batch of sequences: seqjax, flax, haiku, equinox, jax' cuDNN, torch."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import harness
import jax
import jax.numpy as jnp
import numpy as np
from harness import Contender

import seqjax as sj
from seqjax import interop

linen = harness.peer("flax.linen", "pip install flax")
nnx = harness.peer("flax.nnx", "pip install flax")
haiku = harness.peer("haiku", "pip install dm-haiku")
equinox = harness.peer("equinox", "pip install equinox")
torch = harness.peer("torch", "pip install torch")

TORCH_KIND = {"lstm": "lstm", "gru": "gru", "elman": "rnn_tanh"}
Run = Callable[[Any, Any], Any]


class Problem(NamedTuple):
    """A cell with weights, and a batch of sequences: `xs[T, B, D]` and `output_weights[T, B, H]`."""

    kind: str
    params: Any
    xs: np.ndarray
    output_weights: np.ndarray

    @classmethod
    def make(cls, kind: str, batch: int, num_steps: int, input_size: int, hidden_size: int) -> Problem:
        """Weights as seqjax draws them, starting from zeros, which is all that some peers can."""
        cell = getattr(sj, kind)(hidden_size, initial_carry="zeros")
        params = cell.init(jax.random.key(0), input_size)
        random = np.random.default_rng(0)
        # Biases are zeros when new, which would hide one that is read in another place.
        bias = params.bias + 0.1 * random.standard_normal(params.bias.shape, dtype=np.float32)
        return cls(
            kind,
            params.replace(bias=bias),
            random.standard_normal((num_steps, batch, input_size), dtype=np.float32),
            random.standard_normal((num_steps, batch, hidden_size), dtype=np.float32),
        )

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """`B, T, D, H`."""
        num_steps, batch, input_size = self.xs.shape
        return batch, num_steps, input_size, self.output_weights.shape[-1]


class Network(NamedTuple):
    """A way of jax to run a cell: `(weights, xs) -> ys`."""

    name: str
    weights: Any
    run: Run
    note: str = ""
    counts: bool = True


def contenders(problem: Problem, direction: str, options: argparse.Namespace) -> Iterator[Contender]:
    """All that can be imported and have such a cell, ours first."""
    for network in networks(problem, {"": "auto"} | _variants(options)):
        yield _jax_contender(problem, direction, network)
    if options.device == "gpu" and problem.kind == "lstm":
        note = "jax.experimental.rnn, batch first; not counted: it gave other numbers than all others"
        cudnn = Network("jax, cuDNN", *_jax_cudnn(problem), note=note, counts=False)
        yield _jax_contender(problem, direction, cudnn)
    if torch:
        yield _torch_contender(problem, direction, options)


def networks(problem: Problem, methods: Mapping[str, Any]) -> Iterator[Network]:
    """Those of jax that can be imported and have such a cell, ours first: one for each of our `methods`."""
    for name, method in methods.items():
        yield Network(f"seqjax, {name}" if name else "seqjax", *_ours(problem, method), counts=not name)
    if linen:
        for variant in ("LSTMCell", "OptimizedLSTMCell") if problem.kind == "lstm" else ("",):
            yield Network(f"flax, linen {variant}".strip(), *_linen(problem, variant))
    if nnx:
        yield Network("flax, nnx", *_nnx(problem))
    if haiku and problem.kind == "lstm":
        note = "its GRU and Elman network compute something else"
        yield Network("haiku", *_haiku(problem), note=note)
    if equinox and problem.kind != "elman":
        yield Network("equinox", *_equinox(problem), note="has no Elman network")


def _variants(options: argparse.Namespace) -> dict[str, Any]:
    """The backends by name, where they are asked for: `auto` is one of them."""
    if not options.variants:
        return {}
    fused = functools.partial(functools.partial, sj.backends.fused)
    variants = {"scan": "scan", "chunks of 16": fused(chunk_size=16), "whole": fused(chunk_size=None)}
    unrolled = {f"whole, unroll {n}": fused(chunk_size=None, unroll=n) for n in (4, 16)}
    return variants | (unrolled if options.device == "gpu" else {})


def lowered(problem: Problem, direction: str, network: Network) -> tuple[Any, list[Any]]:
    """The traced program, to be compiled, and the arguments that it takes."""

    def value(weights: Any, xs: Any, output_weights: Any) -> Any:
        return jnp.sum(network.run(weights, xs) * output_weights)

    function = network.run if direction == "forward" else jax.value_and_grad(value, argnums=(0, 1))
    arguments = [jax.tree.map(jnp.asarray, network.weights), jnp.asarray(problem.xs)]
    if direction == "gradient":
        arguments.append(jnp.asarray(problem.output_weights))
    return jax.jit(function).lower(*arguments), arguments


def _jax_contender(problem: Problem, direction: str, network: Network) -> Contender:
    """A network, jitted."""

    def prepare() -> Callable[[], Any]:
        traced, arguments = lowered(problem, direction, network)
        program = traced.compile()
        return lambda: jax.block_until_ready(program(*arguments))

    def answer(result: Any) -> dict[str, Any]:
        if direction == "forward":
            return _relative({"outputs": result})
        value, (_, d_xs) = result
        return _relative({"value": value / problem.xs.size**0.5, "inputs' gradient": d_xs})

    return Contender(network.name, prepare, answer, note=network.note, counts=network.counts)


def _relative(answers: dict[str, Any]) -> dict[str, Any]:
    """A part of each array, in units of its root mean square."""
    parts = {}
    for name, array in answers.items():
        array = np.asarray(array, float)
        if array.ndim:
            array = array[:: max(1, len(array) // 10), :2] / np.sqrt(np.mean(array**2))
        parts[name] = array
    return parts


def _ours(problem: Problem, method: Any) -> tuple[Any, Run]:
    cell = getattr(sj, problem.kind)(problem.sizes[-1], initial_carry="zeros")
    return problem.params, lambda params, xs: sj.unroll(cell, params, xs, method=method)[1]


def _linen(problem: Problem, variant: str) -> tuple[Any, Run]:
    name = {"lstm": variant, "gru": "GRUCell", "elman": "SimpleCell"}[problem.kind]
    kind = {"lstm": "lstm", "gru": "gru", "elman": "simple"}[problem.kind]
    network = linen.RNN(getattr(linen, name)(problem.sizes[-1]), time_major=True)
    weights = {"params": {"cell": interop.flax.to_linen(problem.params, kind)}}
    return weights, network.apply


def _nnx(problem: Problem) -> tuple[Any, Run]:
    _, _, input_size, hidden_size = problem.sizes
    name, kind = {
        "lstm": ("OptimizedLSTMCell", "optimized_lstm"),
        "gru": ("GRUCell", "gru"),
        "elman": ("SimpleCell", "simple"),
    }[problem.kind]
    cell = getattr(nnx, name)(input_size, hidden_size, rngs=nnx.Rngs(0))
    graph, state = nnx.split(nnx.RNN(cell, time_major=True))
    # What its cells keep besides weights: keys for an initial carry, which is given here instead.
    params, rest = state.filter(nnx.Param), state.filter(lambda _, leaf: not isinstance(leaf, nnx.Param))
    nnx.replace_by_pure_dict(params, {"cell": interop.flax.to_nnx(problem.params, kind)})

    def run(params: Any, xs: Any) -> Any:
        zeros = jnp.zeros((xs.shape[1], hidden_size))
        start = (zeros, zeros) if problem.kind == "lstm" else zeros
        return nnx.merge(graph, params, rest)(xs, initial_carry=start)

    return params, run


def _haiku(problem: Problem) -> tuple[Any, Run]:
    hidden_size = problem.sizes[-1]

    def network(xs: Any) -> Any:
        core = haiku.LSTM(hidden_size)
        return haiku.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))[0]

    transformed = haiku.without_apply_rng(haiku.transform(network))
    # Gates in the order input, candidate, forget, output; its forget gate adds one.
    order = np.array([0, 2, 1, 3])
    kernel = np.concatenate([problem.params.input_kernel, problem.params.recurrent_kernel])
    bias = np.array(problem.params.bias) - np.array([0, 1, 0, 0])[:, None]
    weights = {"w": kernel[:, order].reshape(len(kernel), -1), "b": bias[order].reshape(-1)}
    return {"lstm/linear": {k: np.float32(v) for k, v in weights.items()}}, transformed.apply


def _equinox(problem: Problem) -> tuple[Any, Run]:
    _, _, input_size, hidden_size = problem.sizes
    params = problem.params
    factory = {"lstm": equinox.nn.LSTMCell, "gru": equinox.nn.GRUCell}[problem.kind]
    cell = factory(input_size, hidden_size, key=jax.random.key(0))
    leaves = [_flat(params.input_kernel), _flat(params.recurrent_kernel)]
    if problem.kind == "lstm":
        leaves.append(np.asarray(params.bias).reshape(-1))
        where = lambda cell: (cell.weight_ih, cell.weight_hh, cell.bias)  # noqa: E731
    else:
        leaves += [np.asarray(params.bias).reshape(-1), np.asarray(params.candidate_bias)]
        where = lambda cell: (cell.weight_ih, cell.weight_hh, cell.bias, cell.bias_n)  # noqa: E731
    cell = equinox.tree_at(where, cell, tuple(map(jnp.asarray, leaves)))

    def run(cell: Any, xs: Any) -> Any:
        zeros = jnp.zeros((xs.shape[1], hidden_size))

        def step(carry: Any, x: Any) -> tuple[Any, Any]:
            carry = jax.vmap(cell)(x, carry)
            return carry, carry[0] if problem.kind == "lstm" else carry

        return jax.lax.scan(step, (zeros, zeros) if problem.kind == "lstm" else zeros, xs)[1]

    weights, rest = equinox.partition(cell, equinox.is_array)
    return weights, lambda weights, xs: run(equinox.combine(weights, rest), xs)


def _flat(kernel: Any) -> np.ndarray:
    """`[D, G, H]` -> `[G H, D]`, as cuDNN, torch and equinox have it."""
    return np.ascontiguousarray(np.asarray(kernel).reshape(len(kernel), -1).T)


def _jax_cudnn(problem: Problem) -> tuple[Any, Run]:
    from jax.experimental import rnn

    batch, num_steps, input_size, hidden_size = problem.sizes
    params = problem.params
    bias = np.asarray(params.bias).reshape(-1)
    parts = (_flat(params.input_kernel), _flat(params.recurrent_kernel), bias, np.zeros_like(bias))
    weights = np.concatenate([part.reshape(-1) for part in parts])

    def run(weights: Any, xs: Any) -> Any:
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


def _torch_contender(problem: Problem, direction: str, options: argparse.Namespace) -> Contender:
    device = "cuda" if options.device == "gpu" else "cpu"
    torch.set_num_threads(options.threads)
    torch.backends.cuda.matmul.allow_tf32 = options.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = options.precision == "tf32"

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    def prepare() -> Callable[[], Any]:
        _, _, input_size, hidden_size = problem.sizes
        module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "elman": torch.nn.RNN}[problem.kind]
        network = module(input_size, hidden_size)
        arrays = interop.torch.to_state_dict((problem.params,), TORCH_KIND[problem.kind])
        network.load_state_dict({name: torch.tensor(np.asarray(array)) for name, array in arrays.items()})
        network = network.to(device)
        xs = torch.tensor(problem.xs, device=device, requires_grad=direction == "gradient")
        output_weights = torch.tensor(problem.output_weights, device=device)

        def forward() -> Any:
            with torch.no_grad():
                ys = network(xs)[0]
            wait()
            return ys

        def gradient() -> Any:
            value = (network(xs)[0] * output_weights).sum()
            grads = torch.autograd.grad(value, [*network.parameters(), xs])
            wait()
            return value, grads

        return forward if direction == "forward" else gradient

    def answer(result: Any) -> dict[str, Any]:
        if direction == "forward":
            return _relative({"outputs": result.cpu().numpy()})
        value, grads = result
        d_xs = grads[-1].cpu().numpy()
        return _relative({"value": value.item() / problem.xs.size**0.5, "inputs' gradient": d_xs})

    return Contender("torch", prepare, answer, note="cuDNN" if device == "cuda" else "")
