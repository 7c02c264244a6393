"""Who takes a step of training: seqjax, and optax or torch around the networks of its peers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from contenders import set_up_torch, torch_wait
from harness import Contender
from peers import Problem, Run, networks, seqjax_layer, torch, torch_module, torch_outputs

import seqjax as sj
from seqjax import training
from seqjax.tasks import Task, TaskParams, heads, many_to_one
from seqjax.tasks.head import HeadParams

CLASSES = 10
RATE = 1e-2
DECAY = 1e-2
MAX_NORM = 0.1
"""Low enough that it clips."""
FIRST_STEPS = 4
"""Taken before a step is compared or timed."""
Step = Callable[[Any, Any], tuple[Any, Any]]


class Lesson(NamedTuple):
    """What is trained on what.

    Attributes:
      problem: a network and ragged sequences.
      classifier: `[H, K]`; its bias starts at zeros.
      labels: `[B]`.
    """

    problem: Problem
    classifier: np.ndarray
    labels: np.ndarray

    @classmethod
    def make(
        cls, kind: str, batch: int, num_steps: int, input_size: int, hidden_size: int, seed: int
    ) -> Lesson:
        """The seed is that of the weights; data are the same for all."""
        problem = Problem.make(kind, batch, num_steps, input_size, hidden_size, ragged=True, seed=seed)
        drawn = np.random.default_rng([1, seed]).standard_normal((hidden_size, CLASSES))
        labels = np.random.default_rng(2).integers(0, CLASSES, batch)
        return cls(problem, np.float32(drawn / hidden_size**0.5), labels)


def steps(lesson: Lesson, options: argparse.Namespace) -> Iterator[Contender]:
    """One network."""
    yield _jax_contender("seqjax", _our_step(lesson), [_our_state(lesson)], _our_batch(lesson))
    # The GRU of nnx lacks a bias that all others train.
    nnx = ("nnx",) if lesson.problem.kind == "lstm" else ()
    for network in networks(lesson.problem, {}, peers=("linen", *nnx, "haiku", "equinox")):
        state = _plain_state(lesson, network.weights)
        yield _jax_contender(network.name, _plain_step(network.run), [state], _plain_batch(lesson))
    yield from _torch_contenders([lesson], options)


def ensembles(lessons: Sequence[Lesson], options: argparse.Namespace) -> Iterator[Contender]:
    """Several networks, in one step or in a loop."""
    step, states, batch = _our_step(lessons[0]), [*map(_our_state, lessons)], _our_batch(lessons[0])
    yield _jax_contender("seqjax", jax.vmap(step, in_axes=(0, None)), [_stacked(states)], batch)
    yield _jax_contender("loop", step, states, batch, note="seqjax, one step a network")
    for members in zip(*(networks(lesson.problem, {}, peers=("linen",)) for lesson in lessons), strict=True):
        states = [_plain_state(lesson, each.weights) for lesson, each in zip(lessons, members, strict=True)]
        step = jax.vmap(_plain_step(members[0].run), in_axes=(0, None))
        yield _jax_contender(members[0].name, step, [_stacked(states)], _plain_batch(lessons[0]))
    yield from _torch_contenders(lessons, options)


def _optimizer() -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(MAX_NORM), optax.adamw(RATE, weight_decay=DECAY))


def _stacked(states: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def _our_step(lesson: Lesson) -> Step:
    return training.make_step(_our_task(lesson).loss, _optimizer())


def _our_task(lesson: Lesson) -> Task:
    layer = seqjax_layer(lesson.problem.kind, lesson.problem.hidden_size)
    return many_to_one(layer, heads.categorical(CLASSES), pooling="mean")


def _our_state(lesson: Lesson) -> training.TrainingState:
    head = HeadParams(kernel=jnp.asarray(lesson.classifier), bias=jnp.zeros(CLASSES))
    params = TaskParams(network=lesson.problem.params, head=head)
    opt_state = _optimizer().init(params)
    return training.TrainingState(params, opt_state, jnp.zeros((), jnp.int32), jax.random.key(0))


def _our_batch(lesson: Lesson) -> sj.Batch:
    problem = lesson.problem
    return sj.Batch(problem.xs, lesson.labels, lengths=problem.lengths)


class PlainState(NamedTuple):
    """What `_plain_step` changes."""

    params: Any
    opt_state: Any


def _plain_state(lesson: Lesson, weights: Any) -> PlainState:
    bias = jnp.zeros(CLASSES)
    params = {"network": weights, "head": {"kernel": jnp.asarray(lesson.classifier), "bias": bias}}
    return PlainState(params, _optimizer().init(params))


def _plain_batch(lesson: Lesson) -> Any:
    return lesson.problem.xs, lesson.labels, lesson.problem.lengths, lesson.problem.valid


def _plain_step(run: Run) -> Step:
    """A step as one writes it with optax around a function."""

    def loss(params: Any, batch: Any) -> Any:
        xs, labels, lengths, valid = batch
        ys = run(params["network"], xs, lengths)
        mean = jnp.sum(ys * valid[..., None], axis=0) / lengths[:, None]
        logits = mean @ params["head"]["kernel"] + params["head"]["bias"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    def step(state: PlainState, batch: Any) -> tuple[PlainState, dict[str, Any]]:
        value, gradients = jax.value_and_grad(loss)(state.params, batch)
        updates, opt_state = _optimizer().update(gradients, state.opt_state, state.params)
        metrics = {"loss": value, "gradient_norm": optax.tree.norm(gradients)}
        return PlainState(optax.apply_updates(state.params, updates), opt_state), metrics

    return step


def _jax_contender(name: str, step: Step, states: list[Any], batch: Any, note: str = "") -> Contender:
    """Each call takes one step from each of the states, which are those of separate calls."""

    def prepare() -> Callable[[], Any]:
        device_batch = jax.tree.map(jnp.asarray, batch)
        # The state is donated: what it was is gone, and others may hold the same arrays.
        current = [training.state.copied(state) for state in states]
        program = jax.jit(step, donate_argnums=0).lower(current[0], device_batch).compile()

        def run() -> Any:
            results = [program(state, device_batch) for state in current]
            current[:] = [state for state, _ in results]
            return jax.block_until_ready(results)

        for _ in range(FIRST_STEPS):
            run()
        return run

    def answer(results: Any) -> dict[str, Any]:
        def gathered(arrays: list[Any], ndim: int) -> np.ndarray:
            """`[N, ...]`, whether it was one call or N."""
            arrays = [np.asarray(array) for array in arrays]
            return np.stack(arrays) if arrays[0].ndim == ndim else arrays[0]

        params = [state.params for state, _ in results]
        kernels = [p["head"]["kernel"] if isinstance(p, dict) else p.head.kernel for p in params]
        return {
            "loss": gathered([metrics["loss"] for _, metrics in results], 0),
            "gradient norm": gathered([metrics["gradient_norm"] for _, metrics in results], 0),
            "classifier": gathered(kernels, 2),
        }

    return Contender(name, prepare, answer, note=note)


def _torch_contenders(lessons: Sequence[Lesson], options: argparse.Namespace) -> Iterator[Contender]:
    """Torch with padded sequences and with packed ones; several networks in a loop."""
    if torch:
        yield _torch_contender(lessons, options, False, "torch, padded", "runs through the padding")
        yield _torch_contender(lessons, options, True, "torch, packed", "sequences are packed")


def _torch_contender(
    lessons: Sequence[Lesson], options: argparse.Namespace, packed: bool, name: str, note: str
) -> Contender:
    device = set_up_torch(options)

    def prepare() -> Callable[[], Any]:
        first = lessons[0]
        xs, labels = (torch.tensor(x, device=device) for x in (first.problem.xs, first.labels))
        valid = torch.tensor(first.problem.valid[..., None], dtype=torch.float32, device=device)
        lengths = torch.tensor(first.problem.lengths)
        counts = lengths[:, None].to(device)
        members = [_torch_member(lesson, device) for lesson in lessons]

        def step(network: Any, classifier: Any, parameters: list[Any], optimizer: Any) -> tuple[Any, Any]:
            optimizer.zero_grad(set_to_none=True)
            ys = torch_outputs(network, xs, lengths if packed else None)
            # Packed sequences give zeros in the padding.
            mean = (ys if packed else ys * valid).sum(0) / counts
            loss = torch.nn.functional.cross_entropy(classifier(mean), labels)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(parameters, MAX_NORM)
            optimizer.step()
            return loss.detach(), norm

        def run() -> Any:
            results = [step(*member) for member in members]
            torch_wait(device)
            return [(*result, member[1].weight) for result, member in zip(results, members, strict=True)]

        for _ in range(FIRST_STEPS):
            run()
        return run

    def answer(results: Any) -> dict[str, Any]:
        losses, norms, kernels = zip(*results, strict=True)
        return {
            "loss": np.stack([loss.cpu().numpy() for loss in losses]),
            "gradient norm": np.stack([norm.cpu().numpy() for norm in norms]),
            "classifier": np.stack([kernel.detach().cpu().numpy().T for kernel in kernels]),
        }

    return Contender(name, prepare, answer, note=note)


def _torch_member(lesson: Lesson, device: str) -> tuple[Any, Any, list[Any], Any]:
    """A network, its classifier, the parameters of both, and their optimizer."""
    network = torch_module(lesson.problem, device)
    _train_one_bias(network, lesson.problem)
    classifier = torch.nn.Linear(lesson.problem.hidden_size, CLASSES, device=device)
    with torch.no_grad():
        classifier.weight.copy_(torch.tensor(lesson.classifier.T))
        classifier.bias.zero_()
    parameters = [p for p in (*network.parameters(), *classifier.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY, fused=True)
    return network, classifier, parameters, optimizer


def _train_one_bias(network: Any, problem: Problem) -> None:
    """Torch adds two biases, which would learn the same twice; a GRU's candidate alone needs the second."""
    for name, bias in network.named_parameters():
        if name.startswith("bias_hh") and problem.kind == "lstm":
            bias.requires_grad_(False)
        elif name.startswith("bias_hh"):
            candidate = torch.zeros_like(bias)
            candidate[2 * problem.hidden_size :] = 1
            bias.register_hook(lambda gradient, candidate=candidate: gradient * candidate)
