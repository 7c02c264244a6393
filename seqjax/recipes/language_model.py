"""Shakespeare, character by character: synced, trained by truncated backpropagation through time.

A recurrent network reads the plays and poems as one stream, cut into rows side by side, and predicts each
next character; its carry goes on from chunk to chunk, and each text begins from the learned initial carry.
What is reported is bits per character on the last tenth of each text, beside n-gram models that learned from
the same characters. Takes seven to ten minutes on two cores.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqjax import data, decoding, layers, tasks, training
from seqjax.data import Texts, Vocabulary
from seqjax.recipes.baselines.ngrams import ngram_bits
from seqjax.recipes.material.character_streams import chunks, encoded, in_rows
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.learning import LearningOptions, draw_training, learn, shapes
from seqjax.recipes.shared.options import CELLS, option
from seqjax.recipes.shared.published import print_published, published
from seqjax.tasks import Task
from seqjax.types import Params


@dataclasses.dataclass(frozen=True)
class Options(LearningOptions):
    """What `python -m seqjax train language_model` can be told; see `--help`."""

    hidden_size: int = option(256, "hidden units of each layer")
    embedding_size: int = option(64, "features of a character")
    num_layers: int = option(1, "recurrent layers")
    batch_size: int = option(32, "rows side by side, each a stretch of the texts")
    chunk_steps: int = option(32, "characters that a gradient goes back through")
    epochs: int = option(2, "passes over the training texts")
    learning_rate: float = option(5e-3, "of Adam at its peak, falling to zero along a cosine")
    max_order: int = option(8, "the longest n-gram of the baseline; validation chooses the order")


def network(options: Options, vocabulary_size: int) -> Task:
    """The model: embedding, recurrent layers, the next character.

    Embeddings are brought to one unit a feature. Otherwise so small a share of each gate comes from the input
    that the network takes a million characters longer to begin to learn.

    Args:
      options: sizes and choices.
      vocabulary_size: `V`.

    Returns:
      A synced task over tokens `[T, B]`.

    Example:
      >>> network(Options(), 92).network.output_size(1)
      256
    """
    parts: list = [layers.embed(vocabulary_size, options.embedding_size), layers.layer_norm()]
    for _ in range(options.num_layers):
        parts.append(layers.recurrent(CELLS[options.cell](options.hidden_size), method=options.method))
    return tasks.synced(layers.stack(*parts), tasks.heads.categorical(vocabulary_size))


def train(options: Options, folder: Path) -> dict[str, float]:
    """Trains, prints bits per character beside the baselines and a sample, and saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      Bits per held-out character, by model.

    Example:
      >>> train(Options(steps=20), Path("runs/quick"))  # doctest: +SKIP
    """
    folder = runs.open_folder(folder)
    texts = data.shakespeare()
    learned_from, held_out = data.split_ends(texts, 0.1)
    fitted, validation = data.split_ends(learned_from, 0.02)
    vocabulary = data.characters(fitted.texts)
    _describe(fitted, validation, held_out, vocabulary)

    task = network(options, len(vocabulary))
    tokens = np.concatenate([encoded(text, vocabulary) for text in fitted.texts])
    steps_per_epoch = (len(tokens) - 1) // (options.batch_size * options.chunk_steps)
    unseen = in_rows(validation, vocabulary, options.chunk_steps)
    evaluate = training.make_evaluation(task.loss, carry_over=True)
    key = jax.random.key(options.seed)

    def state(optimizer: Any) -> training.TrainingState:
        first = jax.jit(lambda key: training.init_state(key, task, optimizer, input_size=1))(key)
        print(layers.summary(task.network, first.params.network), "\n")
        # Given from the start, it has the step compiled once; the first chunk resets it.
        carry = task.initial_carry(first.params, (options.batch_size,))
        return dataclasses.replace(first, carry=carry)

    fit = learn(
        task.loss,
        state,
        lambda epoch: chunks(tokens, options.batch_size, options.chunk_steps),
        steps_per_epoch,
        options,
        lambda params: evaluate(params, unseen),
        validate_every=-(-steps_per_epoch // 4),
        carry_over=True,
        checkpoints=runs.checkpoints(folder, options),
    )

    loss = evaluate(fit.best, in_rows(held_out, vocabulary, options.chunk_steps))["loss"]
    results = {"network": float(loss) / math.log(2)}
    results |= ngram_bits(fitted, validation, held_out, vocabulary, options.max_order)
    runs.save_run(
        folder, "language_model", options, fit.best, results=results, vocabulary=vocabulary.to_json()
    )
    _draw(folder / "curve.png", fit, steps_per_epoch)
    _report(results, sum(map(len, held_out.texts)), options)
    print("\nwritten by the network, at temperature 0.8:\n")
    for piece in continued(task, fit.best, vocabulary, "", num_steps=400, seed=options.seed, temperature=0.8):
        print(piece, end="", flush=True)
    print(f'\n\nsaved: {folder}\ntry:   python -m seqjax generate {folder} --prompt "Enter the QUEEN"')
    return results


def generate(
    folder: Path, prompt: str = "", *, num_steps: int = 500, seed: int = 0, **cuts: Any
) -> Iterator[str]:
    """Goes on from a prompt with a saved run.

    Args:
      folder: what `train` saved to.
      prompt: how the text begins.
      num_steps: how many characters to write at most.
      seed: of the draws.
      **cuts: `temperature`, `top_k`, `top_p`, as `seqjax.decoding.stream` takes them; a temperature of zero
        writes the most probable characters.

    Yields:
      The prompt, then the characters, one by one, until a text ends.

    Raises:
      ValueError: if the folder holds no whole run of this recipe, or the prompt a character that it does not
        know.

    Example:
      >>> "".join(generate(Path("runs/language_model"), "Enter "))  # doctest: +SKIP
      'Enter the King...'
    """
    options, document = runs.load_run(folder, "language_model", Options)
    vocabulary = Vocabulary.from_json(document["texts"].get("vocabulary", ""))
    task = network(options, len(vocabulary))
    params = training.load_weights(folder / "weights.safetensors", shapes(task, 1))
    yield from continued(task, params, vocabulary, prompt, num_steps=num_steps, seed=seed, **cuts)


def continued(
    task: Task,
    params: Params,
    vocabulary: Vocabulary,
    prompt: str,
    *,
    num_steps: int,
    seed: int,
    **cuts: Any,
) -> Iterator[str]:
    """A prompt and what follows it, as it is drawn.

    Args:
      task: the model.
      params: its params.
      vocabulary: its characters.
      prompt: how the text begins.
      num_steps: how many characters to write at most.
      seed: of the draws.
      **cuts: as for `generate`.

    Yields:
      The prompt, then the characters, one by one.

    Raises:
      ValueError: if the prompt holds a character that the vocabulary does not.

    Example:
      >>> list(continued(task, params, vocabulary, "Enter ", num_steps=3, seed=0))  # doctest: +SKIP
      ['Enter ', 'K', 'I', 'N']
    """
    tokens = encoded(prompt, vocabulary)
    if Vocabulary.unknown in tokens:
        place = int(np.argmax(tokens == Vocabulary.unknown)) - 1
        raise ValueError(
            f"prompt holds {prompt[place]!r}, which none of the texts does that were learned from."
        )
    greedy = cuts.get("temperature") == 0
    key = None if greedy else jax.random.key(seed)
    cuts = {name: cut for name, cut in cuts.items() if not (greedy and name == "temperature")}
    written = decoding.stream(
        task, params, tokens, num_steps=num_steps, key=key, end=Vocabulary.start, **cuts
    )
    yield prompt
    for token in written:
        yield vocabulary.decode([int(token)])


def _describe(fitted: Texts, validation: Texts, held_out: Texts, vocabulary: Vocabulary) -> None:
    counts = [sum(map(len, part.texts)) for part in (fitted, validation, held_out)]
    print(f"{fitted.source}, {fitted.licence}")
    print(
        f"{len(fitted.texts)} texts, the last tenth of each held out: {counts[0]:,} characters to learn "
        f"from,\n{counts[1]:,} to validate, {counts[2]:,} held out; {len(vocabulary.symbols)} different "
        f"ones. What is held out of\n{held_out.names[0]} begins:\n"
    )
    print("".join(f"  {line}\n" for line in held_out.texts[0].splitlines()[:4]))


def _report(results: dict[str, float], count: int, options: Options) -> None:
    print()
    names = sorted(results, key=lambda name: results[name])
    runs.print_table(
        (f"on {count:,} held-out characters", "bits per character"),
        [(name, f"{results[name]:.3f}") for name in names],
    )
    print_published(published("language_model", cell=options.cell))
    gap = min(value for name, value in results.items() if name != "network") - results["network"]
    verdict = "fewer" if gap > 0 else "more"
    print(f"\nThe network needs {abs(gap):.3f} bits {verdict} than the best n-gram model (Kneser-Ney).")


def _draw(path: Path, fit: training.FitResult, steps_per_epoch: int) -> None:
    name, bit = "bits per character", math.log(2)
    fit = fit._replace(
        history=fit.history | {name: fit.history["loss"] / bit},
        validation=fit.validation | {name: fit.validation["loss"] / bit},
    )
    draw_training(path, fit, steps_per_epoch, (name,))
