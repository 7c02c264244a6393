"""English sentences of a user interface in another language: many to many, from word pieces to word pieces.

A bidirectional encoder reads the pieces of a sentence, a decoder that attends to them writes those of its
translation, and a beam search looks for the most probable ones. No source of the test was learned from. The
baselines: the source as it is, and the translation of the most similar sentence that was learned from.
Takes about eight minutes on two cores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from seqjax import data, training
from seqjax.data import Translations, Vocabulary
from seqjax.recipes.baselines.nearest_texts import nearest
from seqjax.recipes.models import encoder_decoders
from seqjax.recipes.models.encoder_decoders import EncoderDecoderOptions, Tokens
from seqjax.recipes.scores.attention_maps import AttentionMap, draw_attention
from seqjax.recipes.scores.translations import Scores, import_sacrebleu, scores
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.learning import draw_training, shapes
from seqjax.recipes.shared.options import option
from seqjax.tasks import Task
from seqjax.types import Params

LANGUAGES = ("it", "fr", "es", "de")
LONGEST = 40
"""Pieces of a text that is learned from, and of an answer, at most."""


@dataclasses.dataclass(frozen=True)
class Options(EncoderDecoderOptions):
    """What `python -m seqjax train translation` can be told; see `--help`."""

    language: str = option("it", "what to translate English to", LANGUAGES)
    embedding_size: int = option(128, "features of a piece")
    pieces: int = option(2000, "byte pairs that each language is made of")
    batch_size: int = option(32, "sentences a step")
    epochs: int = option(24, "passes over the training sentences")
    dropout: float = option(0.3, "share of features dropped before and after each recurrent layer")
    learning_rate: float = option(3e-3, "of Adam at its peak, falling to zero along a cosine")
    length_penalty: float = option(1.0, "0 compares probabilities, which favours short answers; 1 less so")


def network(options: Options, source_size: int, target_size: int) -> Task:
    """The model, from pieces of a language to those of another.

    Args:
      options: sizes and choices.
      source_size: pieces of the sources, with the reserved tokens.
      target_size: the same of the translations.

    Returns:
      A many-to-many task over tokens.

    Example:
      >>> import jax
      >>> task = network(Options(hidden_size=2, embedding_size=2), 300, 400)
      >>> jax.eval_shape(lambda key: task.init(key, 1), jax.random.key(0)).head.kernel.shape
      (2, 400)
    """
    return encoder_decoders.network(options, source_size, target_size)


def train(options: Options, folder: Path) -> dict[str, float]:
    """Trains, prints BLEU and chrF of unseen sources beside two baselines, and saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      Scores by name.

    Raises:
      ImportError: if tokenizers or sacrebleu is not installed; the message names the extra.

    Example:
      >>> train(Options(language="de", steps=200), Path("runs/quick"))  # doctest: +SKIP
    """
    import_sacrebleu()  # which is missed before the training and not after it
    folder = runs.open_folder(folder)
    pairs = data.translation(options.language)
    learned_from, held_out = data.split_by(pairs, pairs.sources, 0.1, options.seed)
    fitted, validation = data.split_by(learned_from, learned_from.sources, 0.05, options.seed)
    read, written = (_pieces(texts, options.pieces) for texts in (fitted.sources, fitted.targets))
    _describe(pairs, fitted, validation, held_out, (read, written))

    task = network(options, len(read), len(written))
    learned, unseen = (_tokens(part, read, written) for part in (fitted, validation))
    print(f"{len(fitted.sources) - len(learned[0])} of {LONGEST} pieces or more are not learned from.\n")
    fit, steps_per_epoch = encoder_decoders.fit(task, learned, unseen, options, folder)
    draw_training(folder / "curve.png", fit, steps_per_epoch, ("cross_entropy", "accuracy"))

    places = nearest(held_out.sources, learned_from.sources)
    translations = {
        "the source as it is": held_out.sources,
        "of the nearest sentence": [learned_from.targets[place] for place in places],
        "network": _translated(task, fit.best, held_out.sources, (read, written), options),
    }
    rates = {name: scores(texts, held_out.targets) for name, texts in translations.items()}
    results = {
        f"{name}: {kind}": value for name, rate in rates.items() for kind, value in rate._asdict().items()
    }
    vocabularies = {"read": read.to_json(), "written": written.to_json()}
    runs.save_run(folder, "translation", options, fit.best, results=results, **vocabularies)
    _draw(
        folder / "attention.png", task, fit.best, held_out.sources, translations["network"], (read, written)
    )
    _report(rates, translations, held_out, folder)
    return results


def translate(folder: Path, texts: Sequence[str]) -> list[str]:
    """Translates with a saved run.

    Args:
      folder: what `train` saved to.
      texts: English sentences.

    Returns:
      Their translations, of 40 pieces at most.

    Raises:
      ValueError: if the folder holds no whole run of this recipe.

    Example:
      >>> translate(Path("runs/translation"), ["Invalid access token"])  # doctest: +SKIP
      ['Token di accesso non valido']
    """
    options, document = runs.load_run(folder, "translation", Options)
    read, written = (Vocabulary.from_json(document["texts"].get(name, "")) for name in ("read", "written"))
    task = network(options, len(read), len(written))
    params = training.load_weights(folder / "weights.safetensors", shapes(task, 1))
    return _translated(task, params, texts, (read, written), options)


def _encode(vocabulary: Vocabulary, text: str) -> list[int]:
    # With a space before it, the first word of a sentence is made of the same pieces as elsewhere.
    return vocabulary.encode(f" {text}")


def _pieces(texts: Sequence[str], size: int) -> Vocabulary:
    return data.byte_pairs([f" {text}" for text in texts], size)


def _tokens(pairs: Translations, read: Vocabulary, written: Vocabulary) -> tuple[Tokens, Tokens]:
    """Both sides as tokens, without the few that are very long and would be paid for by all others."""
    sides = zip(pairs.sources, pairs.targets, strict=True)
    tokens = [(_encode(read, source), _encode(written, target)) for source, target in sides]
    kept = [pair for pair in tokens if max(map(len, pair)) < LONGEST]
    return [source for source, _ in kept], [target for _, target in kept]


def _translated(
    task: Task,
    params: Params,
    texts: Sequence[str],
    vocabularies: tuple[Vocabulary, Vocabulary],
    options: Options,
) -> list[str]:
    read, written = vocabularies
    sources = [_encode(read, text) for text in texts]
    found = encoder_decoders.answers(task, params, sources, options, LONGEST)
    return [written.decode(answer.tokens).strip() for answer in found]


def _describe(
    pairs: Translations,
    fitted: Translations,
    validation: Translations,
    held_out: Translations,
    vocabularies: tuple[Vocabulary, Vocabulary],
) -> None:
    print(f"{pairs.source}, {pairs.licence}")
    print(
        f"{len(fitted.sources)} sentences to learn from, {len(validation.sources)} to validate, "
        f"{len(held_out.sources)} held out; {' and '.join(str(len(v)) for v in vocabularies)} pieces. "
        "For example:"
    )
    for source, target in list(zip(fitted.sources, fitted.targets, strict=True))[:3]:
        print(f"  {source}\n    {target}")


def _draw(
    path: Path,
    task: Task,
    params: Params,
    sources: Sequence[str],
    translations: Sequence[str],
    vocabularies: tuple[Vocabulary, Vocabulary],
) -> None:
    """Where the pieces of a few translations, not too long, looked at their sources."""
    read, written = vocabularies
    tokens = [(_encode(read, s), _encode(written, t)) for s, t in zip(sources, translations, strict=True)]
    few = [pair for pair in tokens if all(6 <= len(side) <= 14 for side in pair)][:4] or tokens[:1]
    weights = encoder_decoders.attention_of(task, params, [s for s, _ in few], [t for _, t in few])
    maps = [
        AttentionMap(weight, [*(written.decode([i]) for i in t), "end"], [read.decode([i]) for i in s])
        for weight, (s, t) in zip(weights, few, strict=True)
    ]
    draw_attention(path, maps)


def _report(
    rates: Mapping[str, Scores],
    translations: Mapping[str, Sequence[str]],
    held_out: Translations,
    folder: Path,
) -> None:
    print(f"\nof {len(held_out.sources)} unseen sentences, translations by sacrebleu:")
    runs.print_table(("", "BLEU", "chrF"), [(n, f"{r.bleu:.1f}", f"{r.chrf:.1f}") for n, r in rates.items()])
    if rates["network"].bleu <= rates["of the nearest sentence"].bleu:
        print("The network loses to looking up the nearest sentence.")
    triples = list(zip(held_out.sources, translations["network"], held_out.targets, strict=True))
    right = [triple for triple in triples if triple[1] == triple[2]]
    wrong = [triple for triple in triples if triple[1] != triple[2]]
    print(f"\n{len(right)} are the reference, such as:")
    for source, translation, _ in right[:4]:
        print(f"  {source}\n    {translation}")
    print(f"\n{len(wrong)} are not, such as:")
    for source, translation, target in wrong[:6]:
        print(f"  {source}\n    {translation}\n    (reference: {target})")
    print(f'\nsaved: {folder}\ntry:   python -m seqjax translate {folder} "Invalid access token"')
