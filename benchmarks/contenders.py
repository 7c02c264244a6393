"""Recurrent networks as contenders of a cell: forward, or the gradient of a weighted sum of all outputs."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from harness import Contender
from peers import Network, Problem, jax_cudnn, networks, torch, torch_module, torch_outputs

import seqjax as sj


def contenders(problem: Problem, direction: str, options: argparse.Namespace) -> Iterator[Contender]:
    """All that can be imported and have such a network, ours first."""
    for network in networks(problem, {"": "auto"} | _variants(options)):
        yield jax_contender(problem, direction, network)
    single = len(problem.layers) == 1 and not problem.bidirectional and problem.lengths is None
    if options.device == "gpu" and problem.kind == "lstm" and single:
        note = "jax.experimental.rnn, batch first; not counted: it gave other numbers than all others"
        cudnn = Network("jax, cuDNN", *jax_cudnn(problem), note=note, counts=False)
        yield jax_contender(problem, direction, cudnn)
    if torch:
        yield torch_contender(problem, direction, options)


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

    def value(weights: Any, xs: Any, lengths: Any, output_weights: Any) -> Any:
        return jnp.sum(network.run(weights, xs, lengths) * output_weights)

    function = network.run if direction == "forward" else jax.value_and_grad(value, argnums=(0, 1))
    arguments: list[Any] = [network.weights, problem.xs, problem.lengths]
    if direction == "gradient":
        arguments.append(problem.output_weights)
    arguments = jax.tree.map(jnp.asarray, arguments)
    return jax.jit(function).lower(*arguments), arguments


def jax_contender(problem: Problem, direction: str, network: Network) -> Contender:
    """A network of jax, jitted."""

    def prepare() -> Callable[[], Any]:
        traced, arguments = lowered(problem, direction, network)
        program = traced.compile()
        return lambda: jax.block_until_ready(program(*arguments))

    def answer(result: Any) -> dict[str, Any]:
        if direction == "forward":
            return _forward_answer(problem, result)
        value, (_, d_xs) = result
        return _gradient_answer(problem, value, d_xs)

    return Contender(network.name, prepare, answer, note=network.note, counts=network.counts)


def torch_contender(problem: Problem, direction: str, options: argparse.Namespace) -> Contender:
    """A module of torch, which on a GPU is cuDNN's."""
    device = set_up_torch(options)

    def prepare() -> Callable[[], Any]:
        network = torch_module(problem, device)
        xs = torch.tensor(problem.xs, device=device, requires_grad=direction == "gradient")
        output_weights = torch.tensor(problem.output_weights, device=device)
        lengths = None if problem.lengths is None else torch.tensor(problem.lengths)

        def forward() -> Any:
            with torch.no_grad():
                ys = torch_outputs(network, xs, lengths)
            torch_wait(device)
            return ys

        def gradient() -> Any:
            value = (torch_outputs(network, xs, lengths) * output_weights).sum()
            grads = torch.autograd.grad(value, [*network.parameters(), xs])
            torch_wait(device)
            return value, grads

        return forward if direction == "forward" else gradient

    def answer(result: Any) -> dict[str, Any]:
        if direction == "forward":
            return _forward_answer(problem, result.cpu().numpy())
        value, grads = result
        return _gradient_answer(problem, value.item(), grads[-1].cpu().numpy())

    notes = ["cuDNN"] * (device == "cuda") + ["packed sequences"] * (problem.lengths is not None)
    return Contender("torch", prepare, answer, note=", ".join(notes))


def set_up_torch(options: argparse.Namespace) -> str:
    """Gives torch the threads and the precision that all have; returns the name of its device."""
    torch.set_num_threads(options.threads)
    torch.backends.cuda.matmul.allow_tf32 = options.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = options.precision == "tf32"
    return "cuda" if options.device == "gpu" else "cpu"


def torch_wait(device: str) -> None:
    """Until all that was asked of the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()


def _forward_answer(problem: Problem, ys: Any) -> dict[str, Any]:
    # What stands in the padding is each library's own affair.
    valid = 1 if problem.lengths is None else problem.valid[..., None]
    return _relative({"outputs": np.asarray(ys) * valid})


def _gradient_answer(problem: Problem, value: Any, d_xs: Any) -> dict[str, Any]:
    return _relative({"value": value / problem.xs.size**0.5, "inputs' gradient": d_xs})


def _relative(answers: dict[str, Any]) -> dict[str, Any]:
    """A part of each array, in units of its root mean square."""
    parts = {}
    for name, array in answers.items():
        array = np.asarray(array, float)
        if array.ndim:
            array = array[:: max(1, len(array) // 10), :2] / np.sqrt(np.mean(array**2))
        parts[name] = array
    return parts
