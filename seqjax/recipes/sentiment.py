"""What people feel about what they write: many to one, over words, with varying lengths.

A bidirectional recurrent network with learned initial states reads a text word by word; the strongest
response of each unit over the whole text decides. Two baselines are printed beside it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import data, layers, tasks, training
from seqjax.data import LabelledTexts, Vocabulary
from seqjax.recipes.baselines.naive_bayes import tuned_naive_bayes
from seqjax.recipes.scores.classes import answered, classify, mistakes, shares_right
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.learning import LearningOptions, draw_training, learn, shapes
from seqjax.recipes.shared.options import CELLS, option
from seqjax.tasks import Task
from seqjax.types import Array, Batch, Params

CLASSES = ("negative", "positive")
DATA = {"tweets": data.tweets, "movie_snippets": data.movie_snippets}


@dataclasses.dataclass(frozen=True)
class Options(LearningOptions):
    """What `python -m seqjax train sentiment` can be told; see `--help`."""

    data: str = option("tweets", "which texts", DATA)
    cell: str = option("lstm", "which recurrent cell, run in both directions", CELLS)
    hidden_size: int = option(64, "hidden units of each direction")
    embedding_size: int = option(128, "features of a word")
    num_layers: int = option(1, "bidirectional layers")
    pooling: str = option("max", "how a text becomes one vector", ("max", "mean", "ends", "attention"))
    dropout: float = option(0.5, "share of features dropped before and after each recurrent layer")
    min_count: int = option(1, "words seen less often in the training texts are unknown")
    unknown_rate: float = option(0.1, "share of training words replaced by the unknown one")
    epochs: int = option(8, "passes over the training texts")
    members: int = option(3, "networks that are trained together, each from its own weights, and vote")
    seed: int = option(0, "of the split, the weights and the order of texts")


def network(options: Options, vocabulary_size: int) -> Task:
    """The model: embedding, bidirectional recurrent layers, pooling over the text, two classes.

    Args:
      options: sizes and choices.
      vocabulary_size: `V`.

    Returns:
      A many-to-one task over tokens `[T, B]`.

    Example:
      >>> network(Options(), 100).network.output_size(1)
      128
    """
    parts: list = [layers.embed(vocabulary_size, options.embedding_size), layers.dropout(options.dropout)]
    for _ in range(options.num_layers):
        cell = CELLS[options.cell](options.hidden_size)
        direction = layers.recurrent(cell, method=options.method)
        parts += [layers.bidirectional(direction), layers.dropout(options.dropout)]
    return tasks.many_to_one(layers.stack(*parts), tasks.heads.categorical(2), pooling=options.pooling)


def train(options: Options, folder: Path) -> dict[str, float]:
    """Trains an ensemble, prints its accuracy beside two baselines, and saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      Figures by name: shares of held-out texts that are classified correctly.

    Example:
      >>> train(Options(steps=20), Path("runs/quick"))  # doctest: +SKIP
    """
    folder = runs.open_folder(folder)
    texts = DATA[options.data]()
    learned_from, held_out = data.split(texts, 0.2, options.seed)
    fitted, validation = data.split(learned_from, 0.1, options.seed)
    vocabulary = data.words(fitted.texts, min_count=options.min_count)
    _describe(texts, fitted, validation, held_out, vocabulary)

    task = network(options, len(vocabulary))
    batches = _batches(fitted, vocabulary, options.batch_size, options.seed)
    print(layers.summary(task.network, shapes(task, 1).network), "\n")
    keys = jax.random.split(jax.random.key(options.seed), options.members)
    unseen = list(_batches(validation, vocabulary, 128).epoch_batches())
    evaluate = jax.vmap(training.make_evaluation(task.loss), in_axes=(0, None))
    fit = learn(
        _hiding(task.loss, options.unknown_rate),
        lambda optimizer: jax.jit(jax.vmap(lambda key: training.init_state(key, task, optimizer, 1)))(keys),
        batches.epoch_batches,
        batches.batches_per_epoch,
        options,
        lambda params: jax.tree.map(jnp.mean, evaluate(params, unseen)),
        ensemble=True,
        warmup=0,  # as the figures in the README were had
        checkpoints=runs.checkpoints(folder, options),
    )

    shares = classify(task, fit.best, _tokens(vocabulary, held_out.texts), 128, ensemble=True)
    results = shares_right(
        held_out.labels,
        majority=np.bincount(fitted.labels).argmax(),
        naive_bayes=tuned_naive_bayes(fitted, validation, held_out.texts),
        one_network=shares.argmax(axis=-1),
        ensemble=shares.mean(axis=0).argmax(axis=-1),
    )
    texts_kept = {"vocabulary": vocabulary.to_json()}
    runs.save_run(folder, "sentiment", options, fit.best, results=results, **texts_kept)
    draw_training(folder / "curve.png", fit, batches.batches_per_epoch, ("loss", "accuracy"))
    _report(results, shares, held_out, folder)
    return results


def predict(folder: Path, texts: Sequence[str]) -> list[str]:
    """Answers with a saved run.

    Args:
      folder: what `train` saved to.
      texts: what to classify.

    Returns:
      One line a text: the class, its probability, the text.

    Raises:
      ValueError: if the folder holds no whole run of this recipe.

    Example:
      >>> predict(Path("runs/sentiment"), ["what a day!"])  # doctest: +SKIP
      ['positive  0.97  what a day!']
    """
    options, document = runs.load_run(folder, "sentiment", Options)
    vocabulary = Vocabulary.from_json(document["texts"].get("vocabulary", ""))
    task = network(options, len(vocabulary))
    members = jax.vmap(lambda member: task.init(jax.random.key(member), 1))
    like = jax.eval_shape(members, jnp.arange(options.members))
    params = training.load_weights(folder / "weights.safetensors", like)
    shares = classify(task, params, _tokens(vocabulary, texts), 128, ensemble=True).mean(axis=0)
    return answered(shares, CLASSES, texts)


def _tokens(vocabulary: Vocabulary, texts: Sequence[str]) -> list[np.ndarray]:
    return [np.array(vocabulary.encode(text), np.int32) for text in texts]


def _batches(texts: LabelledTexts, vocabulary: Vocabulary, size: int, seed: int = 0) -> data.Batches:
    return data.Batches(_tokens(vocabulary, texts.texts), texts.labels, batch_size=size, seed=seed)


def _hiding(loss: Callable, rate: float) -> Callable:
    """The loss with some words unknown, so that the model learns what to make of words it never saw."""

    def hiding(params: Params, batch: Batch, *, carry: None = None, key: Array | None = None) -> Any:
        if key is not None:
            key, drawn = jax.random.split(key)
            hidden = jax.random.bernoulli(drawn, rate, batch.inputs.shape)
            batch = dataclasses.replace(batch, inputs=jnp.where(hidden, Vocabulary.unknown, batch.inputs))
        return loss(params, batch, carry=carry, key=key)

    return hiding


def _describe(
    texts: LabelledTexts,
    fitted: LabelledTexts,
    validation: LabelledTexts,
    held_out: LabelledTexts,
    vocabulary: Vocabulary,
) -> None:
    print(f"{texts.source}, {texts.licence}")
    print(
        f"{len(fitted.texts)} texts to learn from, {len(validation.texts)} to validate, "
        f"{len(held_out.texts)} held out; {len(vocabulary)} words. For example:"
    )
    for text, label in list(zip(fitted.texts, fitted.labels, strict=True))[:3]:
        print(f"  {CLASSES[label]}  {text}")
    print()


def _report(results: dict[str, float], shares: np.ndarray, held_out: LabelledTexts, folder: Path) -> None:
    print(f"\nof {len(held_out.texts)} held-out texts are classified correctly:")
    for name, value in results.items():
        print(f"  {name.replace('_', ' '):12} {100 * value:5.1f} %")
    share = shares.mean(axis=0)
    print("\nthe most confident mistakes:")
    for row in mistakes(share, held_out.labels)[:3]:
        print(f"  {CLASSES[held_out.labels[row]]}, but {share[row].max():.2f} against: {held_out.texts[row]}")
    print(f'\nsaved: {folder}\ntry:   python -m seqjax predict {folder} "what a lovely day!"')
