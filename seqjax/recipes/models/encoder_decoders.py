"""From one sequence of tokens to another: options, model, batches, training and answers of such recipes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from seqjax import data, decoding, layers, tasks, training
from seqjax.checks import check_size
from seqjax.data import Vocabulary
from seqjax.recipes.models.blocks import block
from seqjax.recipes.shared.learning import LearningOptions, learn_task, shapes
from seqjax.recipes.shared.options import option
from seqjax.tasks import Task
from seqjax.types import Params

ATTENTIONS = {
    "additive": layers.attention.additive,
    "dot": lambda size: layers.attention.dot(),
    "general": lambda size: layers.attention.general(),
}
"""How a decoder of a size looks at the encoded sequence, by the name that `--attention` takes."""

Tokens = Sequence[Sequence[int]]
"""Sequences of tokens, none of them reserved."""


@dataclasses.dataclass(frozen=True)
class EncoderDecoderOptions(LearningOptions):
    """What recipes from sequences to sequences can be told; each adds its own."""

    hidden_size: int = option(128, "hidden units of the decoder, and of each direction of the encoder")
    embedding_size: int = option(64, "features of a token")
    num_layers: int = option(1, "layers of the encoder, each in both directions, and of the decoder")
    attention: str = option("additive", "how the decoder looks at what was read", ATTENTIONS)
    dropout: float = option(0.2, "share of features dropped before and after each recurrent layer")
    label_smoothing: float = option(0.1, "share of the target's probability spread over all tokens")
    beam_width: int = option(4, "sequences that the search keeps open; 1 is greedy")
    length_penalty: float = option(0.0, "0 compares probabilities, which favours short answers; 1 less so")


class Answer(NamedTuple):
    """What a search found.

    Attributes:
      tokens: the sequence, without its end.
      log_probability: of it and its end, in nats.
    """

    tokens: list[int]
    log_probability: float


def network(options: EncoderDecoderOptions, source_size: int, target_size: int) -> Task:
    """The model: a bidirectional encoder, a decoder that attends to it, a softmax over the next token.

    Args:
      options: sizes and choices.
      source_size: how many tokens inputs are made of.
      target_size: the same of targets, which follow on `Vocabulary.start` and close with `Vocabulary.end`.

    Returns:
      A many-to-many task over tokens `[S, B]` and `[T', B]`.

    Raises:
      ValueError: if an option is out of range, that of the search too, which comes after the training.

    Example:
      >>> task = network(EncoderDecoderOptions(hidden_size=4, embedding_size=3), 20, 30)
      >>> jax.eval_shape(lambda key: task.init(key, 1), jax.random.key(0)).head.kernel.shape
      (4, 30)
    """
    check_size("beam_width", options.beam_width)
    size, noise = options.hidden_size, layers.dropout(options.dropout)
    recurrent = block(options.cell, size, options.method)
    encoder, decoder = [layers.embed(source_size, options.embedding_size), noise], []
    for _ in range(options.num_layers):
        encoder += [layers.bidirectional(recurrent), noise]
        decoder += [recurrent, noise]
    return tasks.many_to_many(
        layers.stack(*encoder),
        layers.stack(*decoder),
        tasks.heads.categorical(target_size, label_smoothing=options.label_smoothing),
        embedding=layers.stack(layers.embed(target_size, options.embedding_size), noise),
        start=Vocabulary.start,
        attention=ATTENTIONS[options.attention](size),
    )


def pairs(sources: Tokens, targets: Tokens, batch_size: int, seed: int = 0) -> data.Batches:
    """Batches of sequences and of what they become, each closed by an end token.

    Args:
      sources: `N` sequences.
      targets: as many.
      batch_size: rows a batch.
      seed: of the order.

    Returns:
      `data.Batches` with `target_lengths`.

    Example:
      >>> next(pairs([[5, 6]], [[7]], 1)).targets.tolist()
      [[7], [3]]
    """
    closed = [[*target, Vocabulary.end] for target in targets]
    # A length more costs 10 to 20 seconds to compile, and saves a little padding.
    return data.Batches(
        sources, closed, batch_size=batch_size, seed=seed, targets_are="sequences", max_buckets=3
    )


def fit(
    task: Task,
    fitted: tuple[Tokens, Tokens],
    validation: tuple[Tokens, Tokens],
    options: Any,
    folder: Path,
) -> tuple[training.FitResult, int]:
    """Prints the model and trains it; the best params are those of the lowest cross-entropy in validation.

    Args:
      task: what `network` gave.
      fitted: sources and targets to learn from.
      validation: others.
      options: `EncoderDecoderOptions`.
      folder: the run's folder, for checkpoints.

    Returns:
      What training came to, and the steps of an epoch.

    Example:
      >>> fit(task, (sources, targets), (others, theirs), options, folder)  # doctest: +SKIP
    """
    batches = pairs(*fitted, options.batch_size, options.seed)
    unseen = list(pairs(*validation, min(256, len(validation[0]))).epoch_batches())
    print(summary(task, shapes(task, 1)), "\n")
    result = learn_task(
        task,
        1,
        batches.epoch_batches,
        batches.batches_per_epoch,
        unseen,
        options,
        folder,
        metric="cross_entropy",
    )
    return result, batches.batches_per_epoch


def answers(
    task: Task, params: Params, sources: Tokens, options: EncoderDecoderOptions, num_steps: int
) -> list[Answer]:
    """The best sequence that a beam search finds for each source.

    Args:
      task: what `network` gave.
      params: its params.
      sources: `N` sequences, which may be empty.
      options: width and length penalty of the search.
      num_steps: the longest answer, its end included.

    Returns:
      `N` answers, each the same whatever the sources beside it.

    Example:
      >>> options = EncoderDecoderOptions(hidden_size=4, embedding_size=3)
      >>> task = network(options, 20, 30)
      >>> len(answers(task, task.init(jax.random.key(0), 1), [[5, 6, 7]], options, 3)[0].tokens) <= 3
      True
    """
    if not len(sources):
        return []
    size = min(128, len(sources))
    rows = data.Batches(sources, batch_size=size, shuffle=False, max_buckets=1 if size == len(sources) else 3)
    found: dict[int, Answer] = {}
    for plan, batch in zip(rows.plans(0), rows.epoch_batches(), strict=True):
        beams = decoding.beam(
            task,
            params,
            batch.inputs,
            lengths=batch.lengths,
            width=options.beam_width,
            num_steps=num_steps,
            end=Vocabulary.end,
            length_penalty=options.length_penalty,
        )
        tokens, lengths, scores = (
            np.asarray(leaf) for leaf in (beams.tokens[:, 0], beams.lengths[0], beams.log_probabilities[0])
        )
        for place, row in enumerate(plan.rows):
            found[int(row)] = Answer(tokens[: lengths[place], place].tolist(), float(scores[place]))
    return [found[row] for row in range(len(sources))]


def attention_of(task: Task, params: Params, sources: Tokens, targets: Tokens) -> list[np.ndarray]:
    """Where each target looked at its source.

    Args:
      task: what `network` gave.
      params: its params.
      sources: `N` sequences of a token or more.
      targets: as many, without their ends.

    Returns:
      For each pair `[targets + 1, sources]`, the weights of each target and of the end; rows sum to one.

    Example:
      >>> task = network(EncoderDecoderOptions(hidden_size=4, embedding_size=3), 20, 30)
      >>> weights = attention_of(task, task.init(jax.random.key(0), 1), [[5, 6, 7]], [[8]])
      >>> weights[0].shape, weights[0].sum(axis=1).round(3).tolist()
      ((2, 3), [1.0, 1.0])
    """
    inputs, lengths = data.pad(sources)
    closed, target_lengths = data.pad([[*target, Vocabulary.end] for target in targets])
    look = jax.jit(task.attention_weights)  # type: ignore[arg-type]
    weights = np.asarray(look(params, inputs, closed, lengths=lengths, target_lengths=target_lengths))
    return [weights[:t, :s, row] for row, (t, s) in enumerate(zip(target_lengths, lengths, strict=True))]


def summary(task: Task, params: Params) -> str:
    """A table of the parameters of encoder, bridge, decoder and head, and of the decoder's carry.

    Args:
      task: what `network` gave.
      params: its params.

    Returns:
      The table.

    Example:
      >>> task = network(EncoderDecoderOptions(hidden_size=4, embedding_size=3), 20, 30)
      >>> table = summary(task, jax.eval_shape(lambda key: task.init(key, 1), jax.random.key(0)))
      >>> table.splitlines()[2].split()[:3]
      ['params', 'EncoderDecoderParams', 'bridge[0].cell']
    """
    decoder = task.network
    whole = decoder._replace(initial_carry=lambda params: decoder.initial_carry(params.decoder.network))
    return layers.summary(whole, params)
