"""Which bases of a chromosome code for protein: two yeasts to learn from, a third to be judged on.

A hidden Markov model whose states are places in a gene, on either strand: the three bases of its first
codon, then the places 1, 2, 3 in a codon over and over, then the three bases of a stop codon. The genes of
the first two species are known, so transitions and emissions are counted. An emission is a base given the
bases before it, so that it sees codons, and which follow each other. Takes about 10 seconds on two cores.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import data, plot, training
from seqjax.data import Chromosome
from seqjax.recipes.baselines.open_frames import START, STOPS, open_frames, score
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.options import option
from seqjax.statespace import hmm

SPECIES = {"cerevisiae": 0, "kudriavzevii": 1, "mikatae": 2}
# 0 outside of genes; 1-3 start codon, 4-6 codon, 7-9 stop codon; 10-18 the same on the other strand, in the
# order in which they stand on this one: stop, codon, start.
NUM_STATES = 19


@dataclasses.dataclass(frozen=True)
class Options:
    """What `python -m seqjax train yeast` can be told; see `--help`."""

    test: str = option("mikatae", "the species that is held out; the others are learned from", SPECIES)
    order: int = option(5, "bases before each that its probability depends on")
    smoothing: float = option(200.0, "weight of the probability given one base less, in counts")
    window: int = option(60_000, "bases that the picture shows")
    seed: int = option(0, "nothing is drawn: the result is the same for any")


def train(options: Options, folder: Path) -> dict[str, float]:
    """Counts, decodes the held-out species, prints figures per base beside two baselines, saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      What `open_frames.score` makes of each method on the held-out species.

    Raises:
      ValueError: if an option is out of range.

    Example:
      >>> train(Options(), Path("runs/yeast"))  # doctest: +SKIP
    """
    if not 0 <= options.order <= 8 or options.smoothing <= 0:
        raise ValueError(
            f"order is {options.order} and smoothing {options.smoothing}, expected 0 to 8 and above 0."
        )
    folder = runs.open_folder(folder)
    chromosomes = data.yeast()
    test = chromosomes[SPECIES[options.test]]
    learned_from = [chromosome for chromosome in chromosomes if chromosome is not test]
    print(f"{test.licence}\nlearning from {' and '.join(chromosome.species for chromosome in learned_from)}")

    params = transitions(learned_from)
    emission = emissions(learned_from, options.order, options.smoothing)
    smoothed = np.asarray(hmm.smooth(params, log_likelihoods(emission, test.bases)).smoothed)
    guesses = {
        "all of it codes": np.ones(len(test.bases), bool),
        "open frames of 100 codons": open_frames(test.bases, 100),
        "hidden Markov model": smoothed[:, 0] < 0.5,
    }
    scores = {name: score(test.coding, guess) for name, guess in guesses.items()}
    print(f"on the {len(test.bases):,} bases of {test.species}:\n")
    runs.print_table(
        ("", *scores["hidden Markov model"]),
        [(name, *(f"{value:.4f}" for value in figures.values())) for name, figures in scores.items()],
    )
    _draw(folder / "yeast.png", test, smoothed, options.window)
    results = {f"{name}: {key}": value for name, each in scores.items() for key, value in each.items()}
    runs.save_run(folder, "yeast", options, {"chain": params, "emission": emission}, results=results)
    print(f"\nsaved: {folder}")
    return results


def predict(folder: Path, texts: Sequence[str]) -> list[str]:
    """Finds the genes in pieces of DNA with a saved model.

    Args:
      folder: what `train` saved to.
      texts: bases each, A, C, G and T.

    Returns:
      A line a text: from which base to which it codes for protein, on this strand or the other.

    Raises:
      ValueError: if the folder holds no whole run of this recipe, or a text holds something else.

    Example:
      >>> predict(Path("runs/yeast"), ["CCTATAAACCATGGCT..."])  # doctest: +SKIP
      ['11 to 442 on this strand']
    """
    options, _ = runs.load_run(folder, "yeast", Options)
    like = {
        "chain": hmm.HMMParams(jnp.zeros(NUM_STATES), jnp.zeros((NUM_STATES, NUM_STATES))),
        "emission": jnp.zeros((NUM_STATES, 4**options.order, 4)),
    }
    params = training.load_weights(folder / "weights.safetensors", like)
    lines = []
    for text in texts:
        if not text or set(text.upper()) - set("ACGT"):
            raise ValueError(f"texts holds {text[:40]!r}, expected the letters A, C, G and T alone.")
        bases = np.array(["ACGT".index(letter) for letter in text.upper()])
        scores = log_likelihoods(np.asarray(params["emission"]), bases)
        smoothed = np.asarray(hmm.smooth(params["chain"], scores).smoothed)
        strands = np.stack([smoothed[:, 0], smoothed[:, 1:10].sum(axis=1), smoothed[:, 10:].sum(axis=1)])
        strand = np.argmax(strands, axis=0)
        edges = np.flatnonzero(np.diff(strand, prepend=0, append=0))
        pieces = [
            f"{start + 1} to {stop} on {('', 'this', 'the other')[strand[start]]} strand"
            for start, stop in itertools.pairwise(edges)
            if strand[start]
        ]
        lines.append("; ".join(pieces) or "no gene")
    return lines


def states(chromosome: Chromosome) -> np.ndarray:
    """The state at each base of a chromosome whose genes are known.

    Args:
      chromosome: the bases and their places in codons.

    Returns:
      `[T]` integers.

    Example:
      >>> bases, codon = (
      ...     np.array([1, 0, 3, 2, 1, 1, 1, 3, 0, 0, 1]),
      ...     np.array([0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 0]),
      ... )
      >>> states(Chromosome("", "", bases, codon, "")).tolist()
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    """
    forward = _forward_states(chromosome.bases, chromosome.codon)
    # The other strand is this one read backwards, each base replaced by its partner.
    backward = _forward_states(3 - chromosome.bases[::-1], -chromosome.codon[::-1])[::-1]
    return np.where(forward > 0, forward, np.where(backward > 0, 19 - backward, 0))


def _forward_states(bases: np.ndarray, codon: np.ndarray) -> np.ndarray:
    found = np.where(codon > 0, 3 + codon, 0)
    edges = np.flatnonzero(np.diff(found > 0, prepend=False, append=False))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if tuple(bases[first : first + 3]) == START:
            found[first : first + 3] = (1, 2, 3)
        if tuple(bases[end - 3 : end]) in STOPS:
            found[end - 3 : end] = (7, 8, 9)
    return found


def transitions(chromosomes: Sequence[Chromosome]) -> hmm.HMMParams:
    """The chain, from how often each state follows each; a chromosome starts outside of genes.

    Args:
      chromosomes: what to count in.

    Returns:
      `HMMParams` of 19 states; what never happened is impossible.
    """
    counts = np.zeros((NUM_STATES, NUM_STATES))
    for chromosome in chromosomes:
        path = states(chromosome)
        np.add.at(counts, (path[:-1], path[1:]), 1)
    counts += np.eye(NUM_STATES) * (counts.sum(axis=1, keepdims=True) == 0)
    return hmm.params(np.eye(NUM_STATES)[0], counts / counts.sum(axis=1, keepdims=True))


def emissions(chromosomes: Sequence[Chromosome], order: int, smoothing: float) -> np.ndarray:
    """The probability of a base, given the state and the bases before it.

    Equation: `p_k(b | c) = (count(b, c) + w p_{k-1}(b | c')) / (count(c) + w)`, where `c` is the context of
    `k` bases, and `c'` lacks its oldest. Up to two bases `w` is small: there a codon is seen whole, and
    counts must be able to say that no stop codon is inside of a gene.

    Args:
      chromosomes: what to count in.
      order: bases before each.
      smoothing: `w` of contexts longer than two.

    Returns:
      `[K, 4**order, 4]`.
    """
    paths = [states(chromosome) for chromosome in chromosomes]
    table = np.full((NUM_STATES, 1, 4), 0.25)
    for length in range(order + 1):
        counts = np.zeros((NUM_STATES, 4**length, 4))
        for chromosome, path in zip(chromosomes, paths, strict=True):
            np.add.at(counts, (path, _contexts(chromosome.bases, length), chromosome.bases), 1)
        weight = smoothing if length > 2 else 0.01
        shorter = table[:, np.arange(4**length) % 4 ** max(length - 1, 0)]
        table = (counts + weight * shorter) / (counts.sum(axis=-1, keepdims=True) + weight)
    return table.astype(np.float32)


def log_likelihoods(emission: np.ndarray, bases: np.ndarray) -> jax.Array:
    """What the model makes of each base.

    Args:
      emission: `[K, 4**order, 4]`.
      bases: `[T]`.

    Returns:
      `[T, K]`.
    """
    order = round(np.log2(emission.shape[1]) / 2)
    return jnp.asarray(np.log(emission[:, _contexts(bases, order), bases]).T, "float32")


def _contexts(bases: np.ndarray, length: int) -> np.ndarray:
    """The bases before each as a number, the newest its last digit; before the first one stand As."""
    padded = np.concatenate([np.zeros(length, int), bases])
    digits = [padded[length - back : len(padded) - back] * 4 ** (back - 1) for back in range(1, length + 1)]
    return np.sum(digits, axis=0, dtype=int) if digits else np.zeros(len(bases), int)


def _draw(path: Path, test: Chromosome, smoothed: np.ndarray, window: int) -> None:
    """Genes that are known, and what the model believes, along a stretch of the held-out chromosome."""
    middle = len(test.bases) // 2
    part = slice(max(0, middle - window // 2), middle + window // 2)
    places = np.arange(len(test.bases))[part] / 1000
    figure, axes = plot.new_figure(2, 1, (10, 4.2), sharex=True)
    strands = ((axes[0], 1, slice(1, 10), "this strand"), (axes[1], -1, slice(10, 19), "other strand"))
    for each, strand, columns, name in strands:
        known = test.strand[part] == strand
        each.fill_between(places, -0.32, -0.08, where=known, color="0.25", step="mid", label="known genes")
        belief = smoothed[part, columns].sum(axis=1)
        each.fill_between(places, 0, belief, color=plot.COLOURS[0], linewidth=0, label="probability, model")
        each.set_ylabel(f"{name}\nprobability of coding")
        each.set_ylim(-0.4, 1.05)
        each.set_yticks([0, 0.5, 1])
        each.margins(x=0)
    plot.legend(axes[0])
    axes[0].set_title(f"{test.species}, chromosome I, held out", loc="left", fontsize="medium")
    axes[1].set_xlabel("place on the chromosome (thousand bases)")
    plot.save(figure, path)
