"""Letters to phonemes, end to end on made-up words."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import data
from seqjax.__main__ import main
from seqjax.data import Pronunciations
from seqjax.recipes import pronunciation

SMALL = ["--cell", "gru", "--hidden-size", "16", "--embedding-size", "8", "--dropout", "0"]


def say(word):
    """A c is soft before e, and an h after it makes one phoneme of two letters."""
    phonemes = []
    for letter, following in itertools.zip_longest(word, word[1:]):
        if letter != "h":
            sounds = {"c": "S" if following == "e" else "K", "a": "AE", "e": "EH", "t": "T"}
            phonemes.append("CH" if following == "h" else sounds[letter])
    return tuple(phonemes)


def made_up():
    """Words of five letters, each said by a rule that needs the letter after; some may be said otherwise."""
    joined = map("".join, itertools.product("aetch", repeat=5))
    words = [word for word in joined if "h" not in word.replace("ch", "")]
    words = [words[row] for row in np.random.default_rng(0).permutation(len(words))[:400]]
    ways = [(say(word), ("T",)) if word.startswith("tt") else (say(word),) for word in words]
    symbols = tuple(sorted({phoneme for way in ways for phoneme in way[0]}))
    return Pronunciations(words, ways, symbols, "made up", "these tests")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on made-up words, in its folder."""
    folder = tmp_path_factory.mktemp("runs") / "pronunciation"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "pronunciation", made_up)
        arguments = ["--batch-size", "32", "--epochs", "16", "--learning-rate", "0.03"]
        assert main(["train", "pronunciation", *SMALL, *arguments, "--run-dir", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_a_rule_that_needs_the_next_letter_is_learned_and_reported_beside_baselines(run):
    results = json.loads((run / "run.json").read_text())["results"]
    assert results["network: symbols"] < 0.05
    assert results["each letter by itself: symbols"] > 0.05
    assert results["each letter among others: sequences"] < 0.1
    report = (run / "report.md").read_text()
    assert all(f"![{name}]({name}.png)" in report for name in ("attention", "curve"))


@pytest.mark.slow
def test_predict_answers_with_the_saved_weights(run, capsys):
    assert main(["predict", str(run), "CHECA", "tcaet"]) == 0
    words = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert [word for word, *_ in words] == ["CHECA", "tcaet"]
    assert [said for _, said, _ in words] == ["CH EH K AE", "T K AE EH T"]
    assert all(0 < float(probability) <= 1 for *_, probability in words)


@pytest.mark.slow
@pytest.mark.parametrize("word", ["", "naïve", "two words"])
def test_a_word_of_other_characters_is_refused(run, word, capsys):
    assert main(["predict", str(run), "tact", word]) == 2
    assert f"word is {word!r}, expected letters from a to z" in capsys.readouterr().err


def test_a_width_without_a_search_is_told_before_training(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(data, "pronunciation", made_up)
    assert main(["train", "pronunciation", "--beam-width", "0", "--run-dir", str(tmp_path / "run")]) == 2
    assert "beam_width is 0" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_that_cannot_translate_says_what_it_can(run, capsys):
    assert main(["translate", str(run), "tact"]) == 2
    assert "nothing to translate with: try predict" in capsys.readouterr().err


@pytest.mark.parametrize("cell", ["lru", "lstm_peepholes", "qrnn"])
def test_cells_of_every_kind_can_be_built(cell):
    options = pronunciation.Options(cell=cell, hidden_size=4, embedding_size=3)
    task = pronunciation.network(options, 9)
    params = jax.eval_shape(lambda key: task.init(key, 1), jax.random.key(0))
    inputs = jnp.zeros((5, 2), int)
    begun = jax.eval_shape(lambda params: task.start(params, inputs, lengths=jnp.array([5, 3])), params)
    assert begun[1].logits.shape == (2, 9)


def test_spelling_variants_of_a_word_are_on_one_side_of_a_split():
    words = ["actor", "actors", "actor's", "actors'", "boss", "bo", "it's", "its", "pass", "cat", "cats"]
    dictionary = Pronunciations(words, [(("AE",),)] * len(words), ("AE",), "", "")
    for seed in range(5):
        sides = pronunciation.split(dictionary, 0.4, seed)
        stems = [{word.replace("'", "").rstrip("s") for word in side.words} for side in sides]
        assert not stems[0] & stems[1]
        assert sorted(sides[0].words + sides[1].words) == sorted(words)
