"""Who filters, smooths and decodes hidden Markov models: seqjax, dynamax, hmmlearn."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import harness
import jax
import jax.numpy as jnp
import numpy as np
from harness import Contender

from seqjax.statespace import hmm

dynamax = harness.peer(
    "dynamax.hidden_markov_model.inference", "pip install --force-reinstall --no-deps tfp-nightly"
)
hmmlearn = harness.peer("hmmlearn._hmmc", "pip install hmmlearn")

REASONS = {
    "one few": "a step of the loop takes 25 to 35 ns, several times its arithmetic, and results go to fresh "
    "memory in passes of their own",
    "one many": "a step takes two programs, the product and the normalisation, each of which XLA starts anew",
    "rows few": "rows of few numbers leave vector registers half empty, and exponentials, logarithms and "
    "fresh memory for results take most of the time",
    "rows many": "exponentials, logarithms and fresh memory for results take most of the time",
}
"""Why a cell may fall short: by whether it has one sequence or many rows, and few states or many."""


class Chain(NamedTuple):
    """A hidden Markov model and data: `log_likelihoods` is `[T, B, K]` float32, `B` is 1 for one sequence."""

    initial: np.ndarray
    transition: np.ndarray
    log_likelihoods: np.ndarray

    @property
    def gigabytes(self) -> float:
        """The size of one array like the log-likelihoods."""
        return self.log_likelihoods.nbytes / 1e9


def make_chain(num_states: int, num_steps: int, batch: int) -> Chain:
    """States that last for a while, seen through Gaussians of different means."""
    random = np.random.default_rng(0)
    transition = random.dirichlet(np.ones(num_states), num_states) + 3 * np.eye(num_states)
    transition += 0.05 / num_states
    transition /= transition.sum(axis=1, keepdims=True)
    states = np.cumsum(random.random((num_steps, batch)) < 0.2, axis=0) * 7 % num_states
    means = np.linspace(-3, 3, num_states, dtype=np.float32)
    ys = means[states] + random.standard_normal((num_steps, batch), dtype=np.float32)
    log_likelihoods = np.subtract(ys[..., None], means)
    np.square(log_likelihoods, out=log_likelihoods)
    log_likelihoods *= -0.5
    return Chain(np.full(num_states, 1 / num_states), transition, log_likelihoods)


def contenders(task: str, chain: Chain) -> list[Contender]:
    """All that can be imported, ours first."""
    everyone = [_ours(task, chain)]
    everyone += [_dynamax(task, chain)] if dynamax else []
    everyone += _hmmlearn(task, chain) if hmmlearn else []
    return everyone


def shortfall(cell: harness.Cell) -> str:
    """By how much a measured cell is slower than the fastest peer, and why; nothing where it is not."""
    ratio = cell.ratio()
    if ratio is None or ratio >= 1:
        return ""
    kind = f"{'one' if cell.sizes['B'] == 1 else 'rows'} {'few' if cell.sizes['K'] <= 8 else 'many'}"
    return f"falls short, {ratio:.2f} times as fast as the fastest peer: {REASONS[kind]}"


def compiled(function: Callable, *arguments: Any) -> Callable[[], Any]:
    """Compiles now, and returns a function that waits for its result."""
    program = jax.jit(function).lower(*arguments).compile()
    return lambda: jax.block_until_ready(program(*arguments))


def _path_answer(chain: Chain, states: Any) -> dict[str, Any]:
    """The joint log-probability per step of the path `[T]` for the first sequence, in float64."""
    states = np.asarray(states)
    scores = chain.log_likelihoods[np.arange(len(states)), 0, states].astype(float)
    moves = np.log(chain.transition)[states[:-1], states[1:]]
    total = np.log(chain.initial)[states[0]] + scores.sum() + moves.sum()
    return {"score of the path": total / len(states)}


def _posterior_answer(log_normalizer: Any, probabilities: Any) -> dict[str, Any]:
    """What is compared of the first sequence's `[T, K]` probabilities."""
    rows = np.asarray(probabilities[:: max(1, len(probabilities) // 100)])
    return {"log-likelihood per step": float(log_normalizer) / len(probabilities), "probabilities": rows}


def _ours(task: str, chain: Chain) -> Contender:
    """On `[T, B, K]`."""
    one = chain.log_likelihoods.shape[1] == 1
    run = getattr(hmm, {"filter": "filter", "smoother": "smooth", "viterbi": "viterbi"}[task])

    def prepare() -> Callable[[], Any]:
        params = hmm.params(chain.initial.astype(np.float32), chain.transition.astype(np.float32))
        return compiled(
            run, params, jnp.asarray(chain.log_likelihoods[:, 0] if one else chain.log_likelihoods)
        )

    def answer(result: Any) -> dict[str, Any]:
        if task == "viterbi":
            return _path_answer(chain, result[0] if one else result[0][:, 0])
        field = result.filtered if task == "filter" else result.smoothed
        return _posterior_answer(result.log_normalizer.reshape(-1)[0], field if one else field[:, 0])

    arrays = {"filter": 5, "smoother": 7, "viterbi": 3}[task]
    return Contender("seqjax", prepare, answer, arrays * chain.gigabytes)


def _dynamax(task: str, chain: Chain) -> Contender:
    """On `[B, T, K]`; a batch by `vmap`."""
    one = chain.log_likelihoods.shape[1] == 1
    initial, transition = (jnp.asarray(array, jnp.float32) for array in (chain.initial, chain.transition))
    function = {
        "filter": dynamax.hmm_filter,
        # Without the expected transitions, which ours does not compute here either. The flag is not static in
        # the jitted function, so it is passed to the one inside.
        "smoother": functools.partial(dynamax.hmm_smoother.__wrapped__, compute_trans_probs=False),
        "viterbi": dynamax.hmm_posterior_mode,
    }[task]

    def run(row: Any) -> Any:
        return function(initial, transition, row)

    def prepare() -> Callable[[], Any]:
        rows = jnp.asarray(np.moveaxis(chain.log_likelihoods, 1, 0))
        return compiled(run, rows[0]) if one else compiled(jax.vmap(run), rows)

    def answer(result: Any) -> dict[str, Any]:
        result = result if one else jax.tree.map(lambda leaf: leaf[0], result)
        if task == "viterbi":
            return _path_answer(chain, result)
        field = result.filtered_probs if task == "filter" else result.smoothed_probs
        return _posterior_answer(result.marginal_loglik, field)

    arrays = {"filter": 6, "smoother": 8, "viterbi": 5}[task]
    return Contender("dynamax", prepare, answer, arrays * chain.gigabytes)


def _hmmlearn(task: str, chain: Chain) -> Iterator[Contender]:
    """hmmlearn's C++ functions, called as its classes do, in a loop over sequences."""
    num_steps, batch, num_states = chain.log_likelihoods.shape
    for variant in ("log",) if task == "viterbi" else ("scaling", "log"):
        # In a big cell a part of the sequences is enough to tell the time of all.
        slowness = 10 if (task, variant) in (("filter", "log"), ("smoother", "log")) else 1
        count = max(1, min(batch, int(4e9 / (num_steps * num_states**2 * slowness))))
        note = "C++ in float64, on one thread, given " + ("exp(" if variant == "scaling" else "")
        note += "log-likelihoods" + (")" if variant == "scaling" else "") + ", a loop over sequences"
        if count < batch:
            note += f", of which {count} are timed (K={num_states}, T={num_steps:,})"
        yield Contender(
            f"hmmlearn, {variant}",
            functools.partial(_prepare_hmmlearn, task, variant, chain, count),
            functools.partial(_hmmlearn_answer, task, variant, chain),
            gigabytes=2 * count * num_steps * num_states * 8e-9,
            share=count / batch,
            note=note,
        )


def _prepare_hmmlearn(task: str, variant: str, chain: Chain, count: int) -> Callable[[], Any]:
    run = functools.partial(_run_hmmlearn, task, variant, chain.initial, chain.transition)
    rows = [np.ascontiguousarray(chain.log_likelihoods[:, row], dtype=float) for row in range(count)]
    rows = [np.exp(row) for row in rows] if variant == "scaling" else rows

    def loop() -> Any:
        first = run(rows[0])
        for row in rows[1:]:
            run(row)
        return first

    return loop


def _run_hmmlearn(task: str, variant: str, initial: Any, transition: Any, data: Any) -> Any:
    if task == "viterbi":
        return hmmlearn.viterbi(initial, transition, data)
    if variant == "scaling":
        log_normalizer, forward, scaling = hmmlearn.forward_scaling(initial, transition, data)
        if task == "filter":
            return log_normalizer, forward
        smoothed = forward * hmmlearn.backward_scaling(initial, transition, data, scaling)
    else:
        log_normalizer, forward = hmmlearn.forward_log(initial, transition, data)
        if task == "filter":
            return log_normalizer, forward
        smoothed = forward + hmmlearn.backward_log(initial, transition, data)
        smoothed = np.exp(smoothed - smoothed.max(axis=1, keepdims=True))
    return log_normalizer, smoothed / smoothed.sum(axis=1, keepdims=True)


def _hmmlearn_answer(task: str, variant: str, chain: Chain, result: Any) -> dict[str, Any]:
    if task == "viterbi":
        return _path_answer(chain, result[1])
    log_normalizer, field = result
    if task == "filter":
        field = np.exp(field - field.max(axis=1, keepdims=True)) if variant == "log" else field
        field = field / field.sum(axis=1, keepdims=True)
    return _posterior_answer(log_normalizer, field)
