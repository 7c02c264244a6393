"""Tagging on made-up sentences, and the command line around it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import data
from seqjax.__main__ import main
from seqjax.data import TaggedSentences
from seqjax.data.tagged_sentences import PARTS_OF_SPEECH
from seqjax.recipes import tagging

ENDINGS = {"NOUN": "lar", "VERB": "di", "ADV": "ken"}
SMALL = ["--hidden-size", "8", "--embedding-size", "4", "--character-embedding-size", "6", "--reach", "6"]
SMALL += ["--character-hidden-size", "8", "--dropout", "0", "--cell", "elman", "--unknown-rate", "0"]


def made_up(genre="web", count=200):
    """Sentences of four words and a point; the ending of a word gives its tag, and most are new."""
    random = np.random.default_rng(0)
    words, tags = [], []
    for _ in range(count):
        names = [str(name) for name in random.choice(list(ENDINGS), 4)]
        stems = ["".join(random.choice(list("abcçğışö"), 3)) for _ in names]
        words.append([stem + ENDINGS[name] for stem, name in zip(stems, names, strict=True)] + ["."])
        tags.append(np.array([PARTS_OF_SPEECH.index(name) for name in [*names, "PUNCT"]], np.int32))
    continued = [np.zeros(5, bool) for _ in words]
    return TaggedSentences(words, tags, continued, PARTS_OF_SPEECH, "made up", "these tests")


@pytest.fixture
def sentences(monkeypatch):
    monkeypatch.setattr(data, "treebank", made_up)


def train(folder, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "treebank", made_up)
        shared = ["--epochs", "12", "--learning-rate", "0.03", "--run-dir", str(folder)]
        assert main(["train", "tagging", *SMALL, *shared, *arguments]) == 0
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a trained run, each tag chosen by itself."""
    return train(tmp_path_factory.mktemp("runs") / "tagging")


@pytest.mark.slow
def test_training_saves_all_that_an_answer_needs(run):
    pictures = ["confusions.png", "curve.png"]
    assert sorted(path.name for path in run.iterdir()) == [
        *pictures,
        "report.md",
        "run.json",
        "weights.safetensors",
    ]
    assert json.loads((run / "run.json").read_text())["recipe"] == "tagging"
    assert all((run / name).read_bytes().startswith(b"\x89PNG") for name in pictures)


@pytest.mark.slow
def test_words_never_seen_are_tagged_by_their_letters(run):
    results = json.loads((run / "run.json").read_text())["results"]
    assert results["network, words never seen"] > 0.9
    assert results["network"] > 0.9 > results["most frequent tag"] > 0.3


@pytest.mark.slow
def test_figures_count_words_and_not_sentences(run):
    results = json.loads((run / "run.json").read_text())["results"]
    fitted, _, held_out = data.split_tenths(made_up())
    known = {word for words in fitted.words for word in words}
    new = [(word, PARTS_OF_SPEECH[tag]) for words, tags in zip(held_out.words, held_out.tags, strict=True)
           for word, tag in zip(words, tags, strict=True) if word not in known]  # fmt: skip
    assert results["share of words never seen"] == pytest.approx(len(new) / 100)
    # The tag of most words of the text is that of all points, of which there is one a sentence, or a noun's.
    counts = np.bincount(np.concatenate(fitted.tags), minlength=14)
    guess = PARTS_OF_SPEECH[counts.argmax()]
    share = np.mean([name == guess for _, name in new])
    assert results["most frequent tag, words never seen"] == pytest.approx(share)


@pytest.mark.slow
def test_predict_answers_with_the_saved_weights_whatever_stands_beside(run, capsys):
    assert main(["predict", str(run), "Çabalar öbürdi.", "ışıken"]) == 0
    answers = ["Çabalar/NOUN öbürdi/VERB ./PUNCT", "ışıken/ADV"]
    assert capsys.readouterr().out.splitlines() == answers
    assert tagging.predict(run, ["ışıken"]) == answers[1:]


@pytest.mark.slow
def test_a_conditional_random_field_learns_the_same(tmp_path, capsys):
    folder = train(tmp_path / "run", "--crf", "--words", "groups")
    assert json.loads((folder / "run.json").read_text())["results"]["network"] > 0.9
    capsys.readouterr()
    assert main(["predict", str(folder), "Çabalar öbürdi."]) == 0
    assert capsys.readouterr().out == "Çabalar/NOUN öbürdi/VERB ./PUNCT\n"


@pytest.mark.parametrize(("cell", "crf"), [("lstm", True), ("gru", False), ("lru", False)])
def test_gated_and_affine_cells_can_be_built(cell, crf):
    options = tagging.Options(cell=cell, crf=crf, hidden_size=4, embedding_size=3, character_hidden_size=2)
    task = tagging.network(options, 9, 8)
    params = jax.eval_shape(lambda key: task.init(key, 17), jax.random.key(0))
    labels = jax.eval_shape(
        lambda params: task.predict(params, jnp.zeros((5, 2, 17), int), lengths=jnp.array([5, 3]))[1].labels,
        params,
    )
    assert labels.shape == (5, 2)


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["train", "tagging", "--data", "news"], "wiki"),
        (["train", "tagging", "--min-count", "0"], "min_count is 0"),
        (["train", "tagging", "--reach", "0"], "reach is 0"),
        (["train", "tagging", "--unknown-rate", "2"], "unknown_rate is 2.0"),
    ],
)
def test_mistakes_are_told_in_a_line(sentences, tmp_path, arguments, fragment, capsys):
    try:
        got = main([*arguments, "--run-dir", str(tmp_path / "run")])
    except SystemExit as stop:
        got = stop.code
    assert got == 2
    assert fragment in capsys.readouterr().err


@pytest.mark.slow
def test_a_text_without_words_is_refused(run, capsys):
    assert main(["predict", str(run), "  "]) == 2
    assert "there is no word in it" in capsys.readouterr().err
