"""A language model of a few made-up sentences, the n-grams beside it, and writing with a saved run."""

import json
from collections import Counter, defaultdict

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import data, training
from seqjax.__main__ import main
from seqjax.data import Texts, Vocabulary
from seqjax.recipes import language_model, runs
from seqjax.recipes.character_streams import chunks, encoded, in_rows
from seqjax.recipes.ngrams import kneser_ney
from seqjax.recipes.options import CELLS

SMALL = [
    "--cell",
    "elman",
    "--method",
    "scan",
    "--hidden-size",
    "24",
    "--embedding-size",
    "8",
    "--max-order",
    "4",
]


def made_up(count=4, lines=40):
    """Lines of three words; what follows a character is certain within a word."""
    generator = np.random.default_rng(0)
    words = ["abacus", "dog", "hint"]
    texts = []
    for _ in range(count):
        drawn = generator.choice(words, (lines, 3))
        texts.append("".join(" ".join(line) + "\n" for line in drawn.tolist()))
    return Texts([f"text {number}" for number in range(count)], texts, "made up", "these tests")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A trained run's folder."""
    folder = tmp_path_factory.mktemp("runs") / "language_model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "shakespeare", made_up)
        arguments = ["--batch-size", "4", "--chunk-steps", "12", "--steps", "150", "--learning-rate", "0.02"]
        assert main(["train", "language_model", *SMALL, *arguments, "--run-dir", str(folder)]) == 0
    return folder


def test_training_approaches_the_entropy_of_the_source_and_saves_the_run(trained):
    names = ["curve.png", "report.md", "run.json", "weights.safetensors"]
    assert sorted(path.name for path in trained.iterdir()) == names
    results = json.loads((trained / "run.json").read_text())["results"]
    # One of three words every five and two thirds characters, the space after it included.
    entropy = np.log2(3) / (13 / 3 + 1)
    assert entropy < results["network"] < 2 * entropy
    assert results["network"] < results["3-gram"] < results["unigram"]
    assert "bits fewer" in (trained / "report.md").read_text()


def test_generate_streams_the_prompt_and_what_follows(trained, capsys):
    arguments = ["generate", str(trained), "--prompt", "dog a", "--num-steps", "5", "--temperature", "0"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == "dog abacus\n"


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["--prompt", "doX"], "prompt holds 'X'"),
        (["--num-steps", "0"], "num_steps is 0"),
        (["--temperature", "-1"], "temperature is -1.0"),
        (["--top-p", "2"], "top_p is 2.0"),
        (["--temperature", "0", "--top-k", "2"], "top_k is given"),
    ],
)
def test_what_cannot_be_written_is_told_in_a_line(trained, arguments, fragment, capsys):
    assert main(["generate", str(trained), *arguments]) == 2
    shown = capsys.readouterr()
    assert fragment in shown.err
    assert shown.out == ""


def test_a_run_that_writes_nothing_says_so(tmp_path, capsys):
    runs.save_run(tmp_path, "nile", language_model.Options(), {"scale": jnp.ones(())}, results={})
    assert main(["generate", str(tmp_path)]) == 2
    assert "'nile', which has nothing to generate with" in capsys.readouterr().err
    assert main(["generate", str(tmp_path / "none")]) == 2
    assert "no run.json" in capsys.readouterr().err


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_every_cell_can_be_built(cell):
    task = language_model.network(
        language_model.Options(cell=cell, hidden_size=4, embedding_size=3, num_layers=2), 9
    )
    params = jax.eval_shape(lambda key: task.init(key, 1), jax.random.key(0))
    shares = jax.eval_shape(
        lambda params: task.predict(params, jnp.zeros((5, 2), int))[1].probabilities, params
    )
    assert shares.shape == (5, 2, 9)


def test_rows_hold_every_character_once_after_the_one_before():
    texts = made_up(3)._replace(texts=["abacus", "dog\n", "hint hint"])
    vocabulary = data.characters(texts.texts)
    read, written = [[], [], []], [[], [], []]
    for batch in in_rows(texts, vocabulary, 4):
        assert batch.inputs.shape == batch.targets.shape == (4, 3)
        for row, length in enumerate(batch.lengths):
            read[row] += batch.inputs[:length, row].tolist()
            written[row] += batch.targets[:length, row].tolist()
    assert [vocabulary.decode(row) for row in written] == texts.texts
    assert read == [[Vocabulary.start, *row[:-1]] for row in written]


@pytest.mark.slow
def test_the_length_of_chunks_does_not_change_what_is_reported():
    texts = made_up(3)._replace(texts=["abacus", "dog\n", "hint hint"])
    vocabulary = data.characters(texts.texts)
    task = language_model.network(language_model.Options(cell="elman", hidden_size=3), len(vocabulary))
    params = jax.jit(lambda key: task.init(key, 1))(jax.random.key(0))
    evaluate = training.make_evaluation(task.loss, carry_over=True)
    whole, cut = (evaluate(params, in_rows(texts, vocabulary, steps)) for steps in (9, 4))
    assert float(whole["count"]) == float(cut["count"]) == 19
    np.testing.assert_allclose(whole["loss"], cut["loss"], rtol=1e-5)


def test_chunks_begin_anew_with_each_text_and_each_pass():
    vocabulary = data.characters(["ab"])
    stream = np.concatenate([encoded("aba", vocabulary), encoded("bb", vocabulary), encoded("a", vocabulary)])
    resets = np.concatenate([batch.resets for batch in chunks(stream, 2, 2)])
    assert resets.T.tolist() == [[True, False, False, False], [True, False, False, True]]


def test_kneser_ney_is_its_formula_with_dictionaries():
    generator = np.random.default_rng(1)
    size, order = 5, 3
    learned = [generator.choice(np.arange(1, size), 60, p=[0.5, 0.3, 0.15, 0.05]).tolist() for _ in range(3)]
    unseen = [generator.integers(1, size, 30).tolist() for _ in range(2)]
    places = [(text, place) for text in unseen for place in range(30)]
    expected = [
        [kneser_ney_of(learned, text, place, n, size) for text, place in places] for n in range(1, order + 1)
    ]
    np.testing.assert_allclose(kneser_ney(learned, unseen, size, order), expected, rtol=1e-12)


def kneser_ney_of(learned, text, place, order, size):
    """The probability of one token, straight from the definition."""

    def grams(sequences, length):
        for sequence in sequences:
            padded = [0] * (length - 1) + list(sequence)
            yield from (tuple(padded[i : i + length]) for i in range(len(sequence)))

    def counts(length, raw):
        if raw:
            return Counter(grams(learned, length))
        return Counter(gram[1:] for gram in set(grams(learned, length + 1)))

    def probability(gram, raw):
        if not gram:
            return 1 / size
        table = counts(len(gram), raw)
        numbers = [sum(count == k for count in table.values()) for k in range(1, 5)]
        cut = dict.fromkeys((1, 2, 3), 0.5)
        if all(numbers):
            share = numbers[0] / (numbers[0] + 2 * numbers[1])
            cut = {k: k - (k + 1) * share * numbers[k] / numbers[k - 1] for k in (1, 2, 3)}
        followers = defaultdict(int)
        for other, count in table.items():
            if other[:-1] == gram[:-1]:
                followers[other[-1]] = count
        lower = probability(gram[1:], raw=False)
        if not followers:
            return lower
        kept = followers[gram[-1]] - cut[min(followers[gram[-1]], 3)] if gram[-1] in followers else 0
        reserved = sum(cut[min(count, 3)] for count in followers.values())
        return (kept + reserved * lower) / sum(followers.values())

    padded = [0] * (order - 1) + list(text)
    return probability(tuple(padded[place : place + order]), raw=True)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_kneser_ney_gives_every_context_a_distribution(order):
    learned = [np.random.default_rng(2).integers(1, 6, 200)]
    contexts = [[1, 2, 3], [5, 5, 5], [], [0, 0, 0]]
    chances = kneser_ney(learned, [[*context, x] for context in contexts for x in range(6)], 6, order)[-1]
    ends = np.cumsum([len(context) + 1 for context in contexts for _ in range(6)]) - 1
    np.testing.assert_allclose(chances[ends].reshape(4, 6).sum(axis=1), 1, rtol=1e-12)


def test_kneser_ney_refuses_what_it_cannot_count():
    with pytest.raises(ValueError, match="max_order is 0"):
        kneser_ney([[1]], [[1]], 3, 0)
    with pytest.raises(ValueError, match="less than 2"):
        kneser_ney([[1]], [[1]], 200, 8)
    with pytest.raises(ValueError, match="learned_from holds no tokens"):
        kneser_ney([[]], [[1]], 3, 2)


def test_the_order_of_the_baseline_is_chosen_in_validation():
    texts = made_up()
    vocabulary = data.characters(texts.texts)
    chance = Texts(["chance"], ["".join(np.random.default_rng(0).permutation(list(texts.texts[0])))], "", "")
    found = language_model.ngram_bits(texts, chance, texts, vocabulary, 4)
    assert list(found) == ["unigram"]
    assert list(language_model.ngram_bits(texts, texts, texts, vocabulary, 4)) == [
        "unigram",
        "3-gram",
        "4-gram",
    ]
