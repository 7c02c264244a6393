"""Emoji and what they are called, in any of 14 languages: one to many.

Convolutions look at a picture, and a recurrent network writes its caption word by word. What is held out are
combinations: a concept that was seen in other skin tones, and a tone that was seen with other concepts, so
that no caption of the training pictures is right. The caption of the nearest of them is printed beside it.
Takes about six minutes on two cores.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import numpy.typing as npt

from seqjax import data, decoding, layers, tasks, training
from seqjax.data import Captions, Vocabulary
from seqjax.data.emoji_pictures import CAPTION_LANGUAGES
from seqjax.recipes.baselines.nearest_pictures import nearest_pictures
from seqjax.recipes.material.captioned_pictures import Captioned, PictureBatches, draw_sheet, ink, read_image
from seqjax.recipes.material.digit_pictures import write_picture
from seqjax.recipes.models.encoder_decoders import summary
from seqjax.recipes.scores.edit_distances import error_rates
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.learning import LearningOptions, draw_training, learn_task, shapes
from seqjax.recipes.shared.options import CELLS, option
from seqjax.tasks import Task
from seqjax.types import Params

EXAMPLE = "example.png"
AT_ONCE = 128  # pictures that are captioned together


@dataclasses.dataclass(frozen=True)
class Options(LearningOptions):
    """What `python -m seqjax train captioning` can be told; see `--help`."""

    language: str = option("en", "of the captions", CAPTION_LANGUAGES)
    size: int = option(36, "the side of a picture in pixels, 72 at most")
    channels: int = option(
        32, "features of the first convolution; the second has twice, the third four times"
    )
    hidden_size: int = option(192, "hidden units of the decoder, and features of a picture")
    embedding_size: int = option(96, "features of a word")
    dropout: float = option(0.1, "share of features dropped: of pictures, of words, of the decoder's outputs")
    label_smoothing: float = option(0.05, "share of a word's probability spread over all words")
    beam_width: int = option(3, "captions that the search keeps open; 1 is greedy")
    batch_size: int = option(32, "pictures a step")
    epochs: int = option(20, "passes over the training pictures")


def network(options: Options, vocabulary_size: int) -> Task:
    """The model: three convolutions, each of half as many rows and columns, and a decoder that reads them.

    Args:
      options: sizes and choices.
      vocabulary_size: `V`.

    Returns:
      A one-to-many task from pictures `[B, size * size * 3]` to tokens `[T', B]`.

    Example:
      >>> task = network(Options(), 100)
      >>> jax.eval_shape(lambda key: task.init(key, 36 * 36 * 3), jax.random.key(0)).head.kernel.shape
      (192, 100)
    """
    noise, side, channels = layers.dropout(options.dropout), options.size, 3
    encoder: list = []
    for features in (options.channels, 2 * options.channels, 4 * options.channels):
        shape = (side, side, channels)
        encoder.append(layers.picture_convolution(shape, features, stride=2, activation=jax.nn.relu))
        side, channels = -(-side // 2), features
    encoder += [noise, layers.dense(options.hidden_size, jax.nn.relu), noise]
    cell = CELLS[options.cell](options.hidden_size)
    return tasks.one_to_many(
        layers.stack(*encoder),
        layers.stack(layers.recurrent(cell, method=options.method), noise),
        tasks.heads.categorical(vocabulary_size, label_smoothing=options.label_smoothing),
        embedding=layers.stack(layers.embed(vocabulary_size, options.embedding_size), noise),
        start=Vocabulary.start,
        repeat=True,
    )


def train(options: Options, folder: Path) -> dict[str, float]:
    """Trains on some combinations, prints how well others are captioned beside two baselines, saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      Figures by name: the shares of held-out captions that are exact, and of their words.

    Example:
      >>> train(Options(steps=20), Path("runs/quick"))  # doctest: +SKIP
    """
    folder = runs.open_folder(folder)
    everything = data.emoji_captions(options.language, size=options.size)
    learned_from, held_out = data.split_combinations(everything, 0.2, options.seed)
    fitted, validation = data.split_combinations(learned_from, 0.1, options.seed)
    vocabulary = data.words(fitted.captions)
    _describe(fitted, validation, held_out, vocabulary)

    task = network(options, len(vocabulary))
    print(summary(task, shapes(task, _features(options))), "\n")
    batches = PictureBatches(fitted, vocabulary, options.batch_size, options.seed)
    unseen = list(
        PictureBatches(validation, vocabulary, min(AT_ONCE, len(validation.captions))).epoch_batches()
    )
    fit = learn_task(
        task,
        _features(options),
        batches.epoch_batches,
        batches.batches_per_epoch,
        unseen,
        options,
        folder,
        metric="cross_entropy",
    )

    longest = max(len(vocabulary.encode(caption)) for caption in fitted.captions)
    answers = captions_of(task, fit.best, vocabulary, held_out.pictures, options, longest + 1)
    results = _results(answers, learned_from, held_out)
    kept = {"vocabulary": vocabulary.to_json(), "longest": str(longest)}
    runs.save_run(folder, "captioning", options, fit.best, results=results, **kept)
    draw_training(folder / "curve.png", fit, batches.batches_per_epoch, ("cross_entropy", "accuracy"))
    write_picture(folder / EXAMPLE, held_out.pictures[0])
    _report(results, answers, held_out, folder)
    return results


def predict(folder: Path, texts: Sequence[str]) -> list[str]:
    """Answers with a saved run.

    Args:
      folder: what `train` saved to.
      texts: names of files that hold a picture each.

    Returns:
      One line a file: its caption, and the file.

    Raises:
      ImportError: if pillow is not installed; the message names the extra.
      OSError: if a file is not there.
      ValueError: if the folder holds no whole run of this recipe, or a file is no picture.

    Example:
      >>> predict(Path("runs/captioning"), ["hand.png"])  # doctest: +SKIP
      ['waving hand light skin tone  hand.png']
    """
    options, document = runs.load_run(folder, "captioning", Options)
    kept = document["texts"]
    vocabulary = Vocabulary.from_json(kept.get("vocabulary", ""))
    if not kept.get("longest", "").isdecimal():
        raise ValueError(f"run is {folder}, whose run.json lacks longest: it was changed or cut off.")
    images = np.stack([read_image(name, options.size) for name in texts])
    task = network(options, len(vocabulary))
    params = training.load_weights(Path(folder) / "weights.safetensors", shapes(task, _features(options)))
    answers = captions_of(task, params, vocabulary, images, options, int(kept["longest"]) + 1)
    return [f"{answer}  {name}" for answer, name in zip(answers, texts, strict=True)]


def captions_of(
    task: Task,
    params: Params,
    vocabulary: Vocabulary,
    images: npt.NDArray[np.uint8],
    options: Options,
    num_steps: int,
) -> list[str]:
    """The captions that a beam search finds.

    Args:
      task: the model.
      params: its params.
      vocabulary: what turns tokens into words.
      images: `[N, S, S, 3]`.
      options: with the width of the search.
      num_steps: the words of the longest caption, and its end.

    Returns:
      `N` captions, in small letters, words parted by spaces.

    Example:
      >>> captions_of(task, params, vocabulary, images, options, 12)  # doctest: +SKIP
      ['waving hand light skin tone']
    """
    size, found = min(AT_ONCE, len(images)), []
    for start in range(0, len(images), size):
        part = images[start : start + size]
        # Rows that fill up are captioned too, and left out: another shape would be compiled for them.
        full = np.pad(part, [(0, size - len(part)), (0, 0), (0, 0), (0, 0)])
        beams = decoding.beam(
            task, params, ink(full), width=options.beam_width, num_steps=num_steps, end=Vocabulary.end
        )
        found += [vocabulary.decode(tokens) for tokens in np.asarray(beams.tokens[:, 0]).T[: len(part)]]
    return found


def _features(options: Options) -> int:
    return options.size**2 * 3


def _written(caption: str) -> str:
    """A caption as the model writes it: words in small letters, parted by spaces."""
    return " ".join(data.split_words(caption))


def _results(answers: Sequence[str], learned_from: Captions, held_out: Captions) -> dict[str, float]:
    most_frequent = Counter(learned_from.captions).most_common(1)[0][0]
    nearest = nearest_pictures(learned_from.pictures, held_out.pictures)
    found = {
        "most frequent caption": [_written(most_frequent)] * len(answers),
        "caption of the nearest picture": [_written(learned_from.captions[row]) for row in nearest],
        "network": answers,
    }
    results = {}
    for name, captions in found.items():
        words = [caption.split() for caption in captions]
        rates = error_rates(words, [[data.split_words(caption)] for caption in held_out.captions])
        results[name] = 1 - rates.sequences
        results[f"{name}, words"] = 1 - rates.symbols
    return results


def _describe(fitted: Captions, validation: Captions, held_out: Captions, vocabulary: Vocabulary) -> None:
    print(f"{fitted.source}, {fitted.licence}")
    print(
        f"{len(fitted.captions)} pictures to learn from, {len(validation.captions)} combinations to "
        f"validate, {len(held_out.captions)} held out; {len(vocabulary)} words. For example:"
    )
    for row in range(0, len(fitted.captions), len(fitted.captions) // 4 + 1):
        print(f"  {fitted.emoji[row]}  {fitted.captions[row]}")
    print()


def _report(results: dict[str, float], answers: Sequence[str], held_out: Captions, folder: Path) -> None:
    print(f"\nof {len(answers)} held-out combinations, whose captions are all new, in %:")
    names = [name for name in results if f"{name}, words" in results]
    runs.print_table(
        ("", "captions exact", "words right"),
        [(name, *(f"{100 * results[key]:.1f}" for key in (name, f"{name}, words"))) for name in names],
    )
    cells = [
        Captioned(picture, _written(caption), answer)
        for picture, caption, answer in zip(held_out.pictures, held_out.captions, answers, strict=True)
    ]
    wrong = [cell for cell in cells if cell.truth != cell.answer]
    print("\nthe first mistakes:" if wrong else "\nno mistakes")
    for cell in wrong[:5]:
        print(f"  {cell.truth}, but captioned: {cell.answer}")
    shown = [cells[row] for row in np.unique(np.linspace(0, len(cells) - 1, 30).round().astype(int))]
    if not draw_sheet(folder / "captions.png", shown):
        print("\nno font here has all letters of the captions; those of captions.png, and what was answered:")
        for number, cell in enumerate(shown, 1):
            print(f"  {number}  {cell.truth} | {cell.answer}")
    print(f"\nsaved: {folder}\ntry:   python -m seqjax predict {folder} {folder / EXAMPLE}")
