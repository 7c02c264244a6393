"""The part of speech of each word of a sentence: one tag a step.

A recurrent network reads each word's letters in both directions, another one the words of the sentence; on
request, a conditional random field chooses all tags of a sentence together. Turkish says with endings what
other languages say with words, so that every third word of a new text was never seen: only its letters tell.
The most frequent tag of each word is printed beside it. Takes about three minutes on two cores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import jax
import numpy as np

from seqjax import data, layers, tasks, training
from seqjax.data import TaggedSentences, Vocabulary
from seqjax.data.tagged_sentences import GENRES, PARTS_OF_SPEECH, Genre
from seqjax.recipes.baselines.frequent_tags import Tags
from seqjax.recipes.models.spelling import Spelling, learn_spelling, spelled, split_sentence
from seqjax.recipes.scores.classes import draw_confusions
from seqjax.recipes.scores.tag_accuracies import accuracies, print_accuracies, print_mistakes
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.learning import LearningOptions, draw_training, learn_task, shapes
from seqjax.recipes.shared.options import CELLS, option
from seqjax.tasks import Task
from seqjax.types import Params

WORDS = {"whole": data.whole_words, "groups": lambda sentences: sentences}


@dataclasses.dataclass(frozen=True)
class Options(LearningOptions):
    """What `python -m seqjax train tagging` can be told; see `--help`."""

    data: str = option("web", "which sentences: of web pages or of Wikipedia", GENRES)
    words: str = option("whole", "words as they are written, or cut into inflectional groups", WORDS)
    crf: bool = option(False, "choose all tags of a sentence together: a conditional random field")
    cell: str = option("lstm", "which recurrent cell, run in both directions", CELLS)
    hidden_size: int = option(128, "hidden units of each direction, over words")
    num_layers: int = option(1, "bidirectional layers over words")
    embedding_size: int = option(64, "features of a word")
    character_embedding_size: int = option(32, "features of a character")
    character_hidden_size: int = option(64, "hidden units of each direction, over characters")
    reach: int = option(16, "how many characters of a word are read, counted from its end")
    dropout: float = option(0.5, "share of features dropped before and after each recurrent layer over words")
    min_count: int = option(2, "words seen less often in training are known by their characters alone")
    unknown_rate: float = option(0.3, "share of training words that are known by their characters alone")
    epochs: int = option(12, "passes over the training sentences")
    learning_rate: float = option(4e-3, "of Adam at its peak, falling to zero along a cosine")


def network(options: Options, num_words: int, num_characters: int) -> Task:
    """The model: words and their characters, bidirectional recurrent layers, a tag for each word.

    Args:
      options: sizes and choices.
      num_words: `V`, with the reserved ones.
      num_characters: the same of characters.

    Returns:
      A synced task over tokens `[T, B, 1 + reach]`.

    Example:
      >>> network(Options(), 100, 40).network.output_size(17)
      256
    """

    def both_ways(hidden_size: int) -> layers.Layer:
        cell = CELLS[options.cell](hidden_size)
        return layers.bidirectional(layers.recurrent(cell, method=options.method))

    parts = [
        spelled(
            layers.embed(num_words, options.embedding_size),
            layers.stack(
                layers.embed(num_characters, options.character_embedding_size),
                both_ways(options.character_hidden_size),
            ),
            unknown_rate=options.unknown_rate,
        ),
        layers.dropout(options.dropout),
    ]
    for _ in range(options.num_layers):
        parts += [both_ways(options.hidden_size), layers.dropout(options.dropout)]
    head = tasks.heads.crf if options.crf else tasks.heads.categorical
    return tasks.synced(layers.stack(*parts), head(len(PARTS_OF_SPEECH)))


def train(options: Options, folder: Path) -> dict[str, float]:
    """Trains a tagger, prints its accuracy beside two baselines, and saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      Figures by name: shares of held-out words that are tagged correctly, of all and of those never seen.

    Example:
      >>> train(Options(steps=20), Path("runs/quick"))  # doctest: +SKIP
    """
    folder = runs.open_folder(folder)
    genre = cast(Genre, options.data)
    splits = data.split_tenths(WORDS[options.words](data.treebank(genre)))
    fitted, validation, held_out = splits
    spelling = learn_spelling(fitted.words, min_count=options.min_count, reach=options.reach)
    _describe(splits, spelling)

    task = network(options, len(spelling.words), len(spelling.characters))
    batches = _batches(fitted, spelling, options.batch_size, options.seed, max_buckets=2)
    unseen = list(_batches(validation, spelling, 128).epoch_batches())
    num_columns = 1 + options.reach
    print(layers.summary(task.network, shapes(task, num_columns).network), "\n")
    fit = learn_task(
        task,
        num_columns,
        batches.epoch_batches,
        batches.batches_per_epoch,
        unseen,
        options,
        folder,
        metric="accuracy",
        mode="max",
    )

    guesses = tags(task, fit.best, spelling, held_out.words)
    results = accuracies(guesses, fitted, held_out)
    kept = {"words": spelling.words.to_json(), "characters": spelling.characters.to_json()}
    runs.save_run(folder, "tagging", options, fit.best, results=results, **kept)
    draw_training(folder / "curve.png", fit, batches.batches_per_epoch, ("loss", "accuracy"))
    truth, answers = np.concatenate(held_out.tags), np.concatenate(guesses)
    draw_confusions(folder / "confusions.png", truth, answers, held_out.classes)
    _report(results, guesses, held_out, folder)
    return results


def predict(folder: Path, texts: Sequence[str]) -> list[str]:
    """Answers with a saved run.

    Args:
      folder: what `train` saved to.
      texts: Turkish sentences. Punctuation is a word of its own.

    Returns:
      One line a sentence: its words, each with its tag.

    Raises:
      ValueError: if the folder holds no whole run of this recipe, or a text has no words.

    Example:
      >>> predict(Path("runs/tagging"), ["Bugün hava çok güzel."])  # doctest: +SKIP
      ['Bugün/ADV hava/NOUN çok/ADV güzel/ADJ ./PUNCT']
    """
    options, document = runs.load_run(folder, "tagging", Options)
    words, characters = (
        Vocabulary.from_json(document["texts"].get(name, "")) for name in ("words", "characters")
    )
    spelling = Spelling(words, characters, options.reach)
    task = network(options, len(words), len(characters))
    params = training.load_weights(Path(folder) / "weights.safetensors", shapes(task, 1 + options.reach))
    sentences = [split_sentence(text) for text in texts]
    return list(map(_shown, sentences, tags(task, params, spelling, sentences)))


def tags(task: Task, params: Params, spelling: Spelling, sentences: Sequence[Sequence[str]]) -> Tags:
    """The tags of sentences of any lengths.

    Args:
      task: the model.
      params: its params.
      spelling: what turns words into tokens.
      sentences: each a list of words.

    Returns:
      For each sentence `[t]` integers, the tags of its words.

    Example:
      >>> spelling = learn_spelling([["bir", "ev"]], min_count=1, reach=3)
      >>> options = Options(hidden_size=2, reach=3)
      >>> task = network(options, len(spelling.words), len(spelling.characters))
      >>> params = task.init(jax.random.key(0), 4)
      >>> [found.shape for found in tags(task, params, spelling, [["bir", "ev"], ["ev"]])]
      [(2,), (1,)]
    """
    rows = spelling.encode(sentences)
    batches = data.Batches(rows, batch_size=min(128, len(rows)), shuffle=False, max_buckets=1)
    predict = jax.jit(
        lambda params, batch: task.predict(params, batch.inputs, lengths=batch.lengths)[1].labels
    )
    found: dict[int, np.ndarray] = {}
    for plan, batch in zip(batches.plans(0), batches.epoch_batches(), strict=True):
        labels = np.asarray(predict(params, batch))
        found.update((row, labels[: len(rows[row]), b]) for b, row in enumerate(plan.rows) if row >= 0)
    return [found[row] for row in range(len(rows))]


def _batches(
    sentences: TaggedSentences, spelling: Spelling, size: int, seed: int = 0, max_buckets: int = 1
) -> data.Batches:
    rows = spelling.encode(sentences.words)
    # What a second length of batches saves in padding, it costs to compile: only training has two.
    return data.Batches(
        rows, sentences.tags, targets_are="steps", batch_size=size, seed=seed, max_buckets=max_buckets
    )


def _describe(splits: Sequence[TaggedSentences], spelling: Spelling) -> None:
    fitted = splits[0]
    sentences, words = (
        [f"{number:,}" for number in numbers]
        for numbers in zip(*((len(part.words), sum(map(len, part.words))) for part in splits), strict=True)
    )
    print(f"{fitted.source}, {fitted.licence}")
    print(
        f"{sentences[0]} sentences of {words[0]} words to learn from, {sentences[1]} of {words[1]} to "
        f"validate, {sentences[2]} of {words[2]} held out; {len(spelling.words)} words and "
        f"{len(spelling.characters)} characters are known. For example:"
    )
    for words, labels in list(zip(fitted.words, fitted.tags, strict=True))[:2]:
        print("  " + _shown(words, labels))
    print()


def _shown(words: Sequence[str], labels: np.ndarray) -> str:
    return " ".join(f"{word}/{PARTS_OF_SPEECH[label]}" for word, label in zip(words, labels, strict=True))


def _report(results: dict[str, float], guesses: Tags, held_out: TaggedSentences, folder: Path) -> None:
    print(f"\nof {sum(map(len, held_out.words))} held-out words are tagged correctly, in %:")
    print_accuracies(results)
    print("\nthe most frequent mistakes (all are in confusions.png):")
    print_mistakes(guesses, held_out)
    print("\na sentence:\n  " + _shown(held_out.words[0], guesses[0]))
    print(f'\nsaved: {folder}\ntry:   python -m seqjax predict {folder} "Bugün hava çok güzel."')
