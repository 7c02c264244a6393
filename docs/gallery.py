"""The gallery: every picture of `seqjax.plot` with the code that drew it, drawn anew at each build."""

import inspect
import textwrap
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import seqjax as sj
from seqjax import plot


def kalman_band():
    """What a Kalman filter believes: the level of the Nile, and years in which nobody measured."""
    series = sj.data.nile()
    seen = (series.times < 1921) | (series.times > 1940)
    one = jnp.ones((1, 1))
    noise = {"dynamics_covariance": 1469 * one, "emission_covariance": 15099 * one}
    model = sj.lds.params(dynamics=one, emission=one, diffuse=True, **noise)
    level = sj.lds.filter(model, series.values[:, None].astype("float32"), observed=seen[:, None])
    figure, (axes,) = plot.new_figure(size=(8, 3))
    measured = np.where(seen, series.values, np.nan)
    mean, deviation = level.mean[:, 0], level.cholesky[:, 0, 0]
    plot.band(mean, deviation, series.times, observations=measured, label="level, filtered", axes=axes)
    axes.set(xlabel="year", ylabel="flow (10⁸ m³)")
    plot.legend(axes)
    return figure


def state_probabilities():
    """The states of a hidden Markov model: how probable each is, and Viterbi's path."""
    chain = sj.hmm.params([0.4, 0.6], [[0.05, 0.95], [0.6, 0.4]])
    emission = sj.hmm.gaussian(2, 1)
    normals = sj.hmm.gaussian_params([[2.0], [4.3]], [[[0.4]], [[0.4]]])
    minutes = sj.data.geyser().values[:60, 1:].astype("float32")
    scores = emission.log_likelihoods(normals, minutes)
    figure, (axes,) = plot.new_figure(size=(8, 1.6))
    smoothed, path = sj.hmm.smooth(chain, scores).smoothed, sj.hmm.viterbi(chain, scores)[0]
    plot.state_probabilities(smoothed, path, np.arange(1, 61), names=["short", "long"], axes=axes)
    axes.set_xlabel("eruption of Old Faithful")
    return figure


def products(scale, num_steps=30):
    """Products `[t, k]` of the Jacobians of a tanh network whose recurrent kernel has norm `scale`."""
    random = np.random.default_rng(1)
    kernel = scale * np.linalg.qr(random.normal(size=(16, 16)))[0]
    h, steps = random.normal(size=16), []
    for _ in range(num_steps):
        h = np.tanh(h @ kernel + 0.3 * random.normal(size=16))
        steps.append(np.diag(1 - h**2) @ kernel.T)
    found = np.zeros((num_steps, num_steps, 16, 16))
    for k in range(num_steps):
        found[k, k] = np.eye(16)
        for t in range(k + 1, num_steps):
            found[t, k] = steps[t] @ found[t - 1, k]
    return found


def gradient_norms():
    """How far back gradients reach, and the bound that they keep."""
    norms = np.linalg.norm(products(0.9), ord=2, axis=(2, 3))
    lag = np.maximum(np.subtract.outer(np.arange(30), np.arange(30)), 0)
    figure, (axes,) = plot.new_figure(size=(5.5, 4.2))
    plot.gradient_norms(norms, 0.9**lag, axes=axes)
    return figure


def singular_values():
    """What is left of each direction of the state, step by step."""
    values = np.linalg.svd(products(0.95)[:, 0], compute_uv=False)
    figure, (axes,) = plot.new_figure(size=(6, 3.2))
    plot.singular_values(values, 0.95 ** np.arange(30), axes=axes)
    return figure


def gradient_flow():
    """A loss at the last step, felt at each step before it."""
    figure, (axes,) = plot.new_figure(size=(6, 3.2))
    flows = {}
    for scale in (1.3, 1.0, 0.7):
        last = products(scale, 40)[-1]
        flows[f"kernel of norm {scale}"] = np.linalg.norm(np.ones(16) @ last, axis=-1)
    plot.gradient_flow(flows, axes=axes)
    return figure


def gates():
    """Gates over a sentence."""
    words = ["the", "switch", "is", "on", ".", ".", ".", "now", "off", ".", ".", "."]
    surprise = np.array([word in ("on", "off") for word in words])
    figure, (axes,) = plot.new_figure(size=(5, 1.9))
    rows = np.stack([0.1 + 0.8 * surprise, 0.95 - 0.85 * surprise, np.full(len(words), 0.6)], axis=1)
    plot.gates(rows, words, ["input", "forget", "output"], axes=axes)
    return figure


def attention():
    """Where a translator looks: drei und vierzig is three and forty."""
    figure, (axes,) = plot.new_figure(size=(3, 3))
    read = ["seven", "hundred", "forty", "three"]
    written = ["sieben", "hundert", "drei", "und", "vierzig"]
    looks = np.eye(4)[[0, 1, 3, 3, 2]] * 0.8 + 0.05
    plot.attention(looks / looks.sum(axis=1, keepdims=True), written, read, axes=axes)
    return figure


def trajectories():
    """Hidden states on their way, in the plane in which they vary most."""
    random = np.random.default_rng(2)
    angle = np.linspace(0, 5, 40)[:, None] * np.array([1, 1, 1, -1, -1, -1]) + 0.3 * random.normal(size=6)
    spiral = np.exp(-0.02 * np.arange(40))[:, None] * np.stack([np.cos(angle), np.sin(angle)])
    states = np.moveaxis(spiral, 0, -1) @ random.normal(size=(2, 8)) + 0.02 * random.normal(size=(40, 6, 8))
    figure, (axes,) = plot.new_figure(size=(4.6, 4))
    plot.trajectories(states, 3 * ["to the left"] + 3 * ["to the right"], axes=axes)
    return figure


def learning_curves():
    """Learning curves of single networks and of ensembles."""
    random = np.random.default_rng(3)
    steps = np.arange(1, 101)
    slow, fast = (np.exp(-steps / scale) + 0.05 for scale in (60, 25))
    members = fast * np.exp(0.15 * random.normal(size=(8, 1)) + 0.1 * random.normal(size=(8, 100)))
    figure, (axes,) = plot.new_figure(size=(6, 3.2))
    plot.learning_curves({"elman": slow, "lstm": members}, steps, axes=axes)
    axes.set(yscale="log", ylabel="loss")
    return figure


def unrolled():
    """A small network laid out in time: every step has the same weights."""
    cell = sj.elman(3)
    random = np.random.default_rng(4)
    recurrent, inputs, outputs = (
        random.normal(size=shape) for shape in ((3, 3), (2, 3), (cell.output_size, 1))
    )
    figure, (axes,) = plot.new_figure(size=(8, 4))
    plot.unrolled(recurrent, inputs, outputs, num_steps=3, axes=axes)
    return figure


PICTURES = (
    *(kalman_band, state_probabilities, gradient_norms, singular_values, gradient_flow),
    *(gates, attention, trajectories, learning_curves, unrolled),
)


def write(folder: Path) -> None:
    """Draws all pictures and writes the page that shows them.

    Args:
      folder: where to.
    """
    folder.mkdir(exist_ok=True)
    parts = [
        "# Gallery",
        "Every picture of `seqjax.plot`, with the code that drew it. They take arrays, and read well without "
        "colours. `sj` is `seqjax`, `np` is numpy.",
    ]
    for draw in PICTURES:
        plot.save(draw(), folder / f"{draw.__name__}.png")
        code = textwrap.dedent(inspect.getsource(draw))
        parts += [
            f"## {inspect.getdoc(draw)}",
            f"![{draw.__name__}]({draw.__name__}.png)",
            f"```python\n{code}```",
        ]
    parts += [f"```python\n{inspect.getsource(products)}```"]
    (folder / "index.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
