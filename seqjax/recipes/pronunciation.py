"""How English words are pronounced: many to many, from letters to phonemes, with attention.

A bidirectional encoder reads the letters of a word, a decoder that attends to them writes its phonemes, and
a beam search looks for the most probable ones. An answer is right if it is any of the pronunciations that
the dictionary has. Beside it, two baselines: what each letter most often says, by itself and in the largest
window of letters that was seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from seqjax import data, training
from seqjax.data import Pronunciations, Vocabulary
from seqjax.data.vocabulary import RESERVED
from seqjax.recipes.baselines.letter_rules import learn_rules, pronounce
from seqjax.recipes.models import encoder_decoders
from seqjax.recipes.models.encoder_decoders import Answer, EncoderDecoderOptions, Tokens
from seqjax.recipes.scores.attention_maps import AttentionMap, draw_attention
from seqjax.recipes.scores.edit_distances import ErrorRates, error_rates
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.learning import draw_training, shapes
from seqjax.recipes.shared.options import option
from seqjax.tasks import Task
from seqjax.types import Params

LETTERS = data.characters(["abcdefghijklmnopqrstuvwxyz'"])
LONGEST = 32
"""Phonemes of an answer, at most; the dictionary has no more than 28."""


@dataclasses.dataclass(frozen=True)
class Options(EncoderDecoderOptions):
    """What `python -m seqjax train pronunciation` can be told; see `--help`."""

    batch_size: int = option(128, "words a step")
    epochs: int = option(3, "passes over the training words")
    learning_rate: float = option(3e-3, "of Adam at its peak, falling to zero along a cosine")
    dropout: float = option(0.0, "share of features dropped before and after each recurrent layer")
    label_smoothing: float = option(0.0, "share of the target's probability spread over all phonemes")


def network(options: Options, vocabulary_size: int) -> Task:
    """The model, from letters to phonemes.

    Args:
      options: sizes and choices.
      vocabulary_size: `V`, the phonemes and the reserved tokens.

    Returns:
      A many-to-many task over tokens.

    Example:
      >>> import jax
      >>> task = network(Options(hidden_size=2, embedding_size=2), 43)
      >>> jax.eval_shape(lambda key: task.init(key, 1), jax.random.key(0)).head.kernel.shape
      (2, 43)
    """
    return encoder_decoders.network(options, len(LETTERS), vocabulary_size)


def train(options: Options, folder: Path) -> dict[str, float]:
    """Trains, prints phoneme and word error rates of held-out words beside two baselines, saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      Error rates by name.

    Example:
      >>> train(Options(steps=200), Path("runs/quick"))  # doctest: +SKIP
    """
    folder = runs.open_folder(folder)
    dictionary = data.pronunciation()
    phonemes = Vocabulary("words", dictionary.symbols)
    learned_from, held_out = split(dictionary, 0.1, options.seed)
    fitted, validation = split(learned_from, 0.03, options.seed)
    _describe(dictionary, fitted, validation, held_out)

    task = network(options, len(phonemes))
    fit, steps_per_epoch = encoder_decoders.fit(task, _pairs(fitted), _pairs(validation), options, folder)
    draw_training(folder / "curve.png", fit, steps_per_epoch, ("cross_entropy", "accuracy"))

    sources = list(map(LETTERS.encode, held_out.words))
    found = encoder_decoders.answers(task, fit.best, sources, options, LONGEST)
    rules = learn_rules(learned_from.words, [ways[0] for ways in learned_from.phonemes])
    spoken = {
        "each letter by itself": pronounce(rules, held_out.words, reach=0),
        "each letter among others": pronounce(rules, held_out.words),
        "network": [tuple(phonemes.decode(answer.tokens).split()) for answer in found],
    }
    rates = {name: error_rates(said, held_out.phonemes) for name, said in spoken.items()}
    results = {
        f"{name}: {kind}": value for name, rate in rates.items() for kind, value in rate._asdict().items()
    }
    runs.save_run(folder, "pronunciation", options, fit.best, results=results, phonemes=phonemes.to_json())
    _draw(folder / "attention.png", task, fit.best, held_out.words, found, spoken["network"])
    _report(rates, spoken["network"], held_out, folder)
    return results


def predict(folder: Path, words: Sequence[str]) -> list[str]:
    """Answers with a saved run.

    Args:
      folder: what `train` saved to.
      words: of the letters a to z, in any case, and apostrophes.

    Returns:
      One line a word: the word, its phonemes, and their probability.

    Raises:
      ValueError: if the folder holds no whole run of this recipe, or a word is empty or has other characters.

    Example:
      >>> predict(Path("runs/pronunciation"), ["recurrent"])  # doctest: +SKIP
      ['recurrent  R IH K ER AH N T  0.71']
    """
    options, document = runs.load_run(folder, "pronunciation", Options)
    phonemes = Vocabulary.from_json(document["texts"].get("phonemes", ""))
    for word in words:
        if not word or set(word.lower()) - set(LETTERS.symbols):
            raise ValueError(f"word is {word!r}, expected letters from a to z and apostrophes.")
    task = network(options, len(phonemes))
    params = training.load_weights(folder / "weights.safetensors", shapes(task, 1))
    sources = [LETTERS.encode(word.lower()) for word in words]
    found = encoder_decoders.answers(task, params, sources, options, LONGEST)
    return [
        f"{word}  {phonemes.decode(answer.tokens)}  {np.exp(answer.log_probability):.2f}"
        for word, answer in zip(words, found, strict=True)
    ]


def split(dictionary: Pronunciations, fraction: float, seed: int) -> tuple[Pronunciations, Pronunciations]:
    """Splits words such that those which differ by apostrophes and s's at their end stay together.

    `actor's`, `actors` and `actors'` are said alike, and `actor` nearly so: a model that has learned one of
    them has not been tested by another.

    Args:
      dictionary: what to split.
      fraction: the share to hold out.
      seed: which split.

    Returns:
      `(training, held_out)`.

    Example:
      >>> words = ["ann", "ann's", "anns", "bo", "bo's", "cy"]
      >>> few = Pronunciations(words, [(("AE", "N"),)] * 6, ("AE", "N"), "", "")
      >>> [part.words for part in split(few, 0.5, 0)]
      [['ann', "ann's", 'anns'], ['bo', "bo's", 'cy']]
    """
    stems = [word.replace("'", "").rstrip("s") for word in dictionary.words]
    return data.split_by(dictionary, stems, fraction, seed)


def _pairs(dictionary: Pronunciations) -> tuple[Tokens, Tokens]:
    """Letters and phonemes as tokens, a pair for each pronunciation of a word."""
    tokens = {symbol: place for place, symbol in enumerate(dictionary.symbols, RESERVED)}
    pairs = [
        (LETTERS.encode(word), [tokens[phoneme] for phoneme in way])
        for word, ways in zip(dictionary.words, dictionary.phonemes, strict=True)
        for way in ways
    ]
    return [letters for letters, _ in pairs], [way for _, way in pairs]


def _describe(
    dictionary: Pronunciations, fitted: Pronunciations, validation: Pronunciations, held_out: Pronunciations
) -> None:
    print(f"{dictionary.source}, {dictionary.licence}")
    print(
        f"{len(fitted.words)} words to learn from, {len(validation.words)} to validate, "
        f"{len(held_out.words)} held out; {len(dictionary.symbols)} phonemes. For example:"
    )
    for word, ways in list(zip(fitted.words, fitted.phonemes, strict=True))[:: len(fitted.words) // 4][:4]:
        print(f"  {word}  {_shown(ways)}")
    print()


def _shown(ways: Sequence[Sequence[str]]) -> str:
    return " or ".join(" ".join(way) for way in ways)


def _draw(
    path: Path,
    task: Task,
    params: Params,
    words: Sequence[str],
    found: Sequence[Answer],
    spoken: Sequence[Sequence[str]],
) -> None:
    """Where the phonemes of a few words, not too short, looked at the letters."""
    rows = [row for row, word in enumerate(words) if 7 <= len(word) <= 12][:4] or [0]
    weights = encoder_decoders.attention_of(
        task, params, [LETTERS.encode(words[row]) for row in rows], [found[row].tokens for row in rows]
    )
    maps = [
        AttentionMap(weight, [*spoken[row], "end"], words[row])
        for weight, row in zip(weights, rows, strict=True)
    ]
    draw_attention(path, maps)


def _report(
    rates: Mapping[str, ErrorRates], said: Sequence[Sequence[str]], held_out: Pronunciations, folder: Path
) -> None:
    print(f"\nof {len(held_out.words)} held-out words, the shares of phonemes and of words that are wrong:")
    rows = [(name, f"{rate.symbols:.1%}", f"{rate.sequences:.1%}") for name, rate in rates.items()]
    runs.print_table(("", "phonemes", "words"), rows)
    if rates["network"].symbols >= rates["each letter among others"].symbols:
        print("The network loses to what each letter says among others.")
    right = [tuple(way) in ways for way, ways in zip(said, held_out.phonemes, strict=True)]
    for name, kind in (("right", True), ("wrong", False)):
        print(f"\n{name}, for example:")
        for row in [row for row, each in enumerate(right) if each is kind][:5]:
            instead = "" if kind else f", not {_shown(held_out.phonemes[row])}"
            print(f"  {held_out.words[row]}  {' '.join(said[row])}{instead}")
    print(f"\nsaved: {folder}\ntry:   python -m seqjax predict {folder} recurrent pronunciation")
