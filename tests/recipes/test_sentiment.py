"""The main job, end to end on a few texts, and the command line around it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.__main__ import main
from seqjax.data import LabelledTexts
from seqjax.recipes import RECIPES, sentiment
from seqjax.recipes.shared.options import CELLS

SMALL = ["--hidden-size", "4", "--embedding-size", "4", "--batch-size", "16", "--members", "2"]


def made_up(count=200):
    """Texts whose class is one word of several."""
    generator = np.random.default_rng(0)
    fillers = ["the", "a", "film", "was", "and", "so", "much", "day"]
    texts, labels = [], []
    for number in range(count):
        words = [str(word) for word in generator.choice(fillers, 1 + number % 3)]
        label = number % 2
        words.insert(int(generator.integers(0, len(words) + 1)), ("awful", "lovely")[label])
        texts.append(f"{' '.join(words)} {number}")
        labels.append(label)
    return LabelledTexts(texts, np.array(labels, np.int32), sentiment.CLASSES, "made up", "these tests")


@pytest.fixture
def texts(monkeypatch):
    monkeypatch.setitem(sentiment.DATA, "tweets", made_up)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run, its folder and its output."""
    folder = tmp_path_factory.mktemp("runs") / "sentiment"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sentiment.DATA, "tweets", made_up)
        arguments = [*SMALL, "--epochs", "8", "--learning-rate", "0.03", "--run-dir", str(folder)]
        assert main(["train", "sentiment", *arguments]) == 0
    return folder


@pytest.mark.slow
def test_training_saves_all_that_an_answer_needs(run):
    assert sorted(path.name for path in run.iterdir()) == [
        "curve.png",
        "report.md",
        "run.json",
        "weights.safetensors",
    ]
    document = json.loads((run / "run.json").read_text())
    assert document["recipe"] == "sentiment"
    assert document["options"]["hidden_size"] == 4
    assert (run / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_training_learns_and_reports_its_baselines(run):
    results = json.loads((run / "run.json").read_text())["results"]
    assert list(results) == ["ensemble", "majority", "naive_bayes", "one_network"]
    assert results["ensemble"] > 0.9 > results["majority"]


@pytest.mark.slow
def test_predict_answers_with_the_saved_weights(run, capsys):
    assert main(["predict", str(run), "the film was lovely", "awful", "", "unseen words"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["positive", "negative"]
    assert len(lines) == 4


@pytest.mark.slow
def test_prediction_does_not_depend_on_the_texts_beside_it(run):
    texts = ["lovely day", "so awful a film and much more", "a"]
    assert sentiment.predict(run, texts) == [sentiment.predict(run, [text])[0] for text in texts]


@pytest.mark.parametrize("cell", sorted(set(CELLS) - {"lstm"}))
def test_every_cell_can_be_built(cell):
    task = sentiment.network(sentiment.Options(cell=cell, hidden_size=4, embedding_size=3), 9)
    params = jax.eval_shape(lambda key: task.init(key, 1), jax.random.key(0))
    shares = jax.eval_shape(
        lambda params: (
            task.predict(params, jnp.zeros((5, 2), int), lengths=jnp.array([5, 3]))[1].probabilities
        ),
        params,
    )
    assert shares.shape == (2, 2)


def test_list_names_every_recipe(capsys):
    assert main(["list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(RECIPES)


@pytest.mark.parametrize(
    ("arguments", "status", "fragment"),
    [
        ([], 2, "COMMAND"),
        (["train"], 2, "RECIPE"),
        (["train", "sentimental"], 2, "sentiment"),
        (["train", "sentiment", "--cell", "lstn"], 2, "lstm_1997"),
        (["train", "sentiment", "--hidden-size", "many"], 2, "--hidden-size"),
        (["train", "sentiment", "--hidden-size", "0"], 2, "hidden_size is 0"),
        (["train", "sentiment", "--dropout", "2"], 2, "rate is 2.0"),
        (["predict", "no-such-run", "text"], 2, "no run.json"),
        (["predict", "no-such-run"], 2, "TEXT"),
    ],
)
def test_mistakes_on_the_command_line_are_told_in_a_line(
    texts, arguments, status, fragment, tmp_path, capsys
):
    if arguments[:2] == ["train", "sentiment"]:
        arguments = [*arguments, "--run-dir", str(tmp_path / "run")]
    try:
        got = main(arguments)
    except SystemExit as stop:
        got = stop.code
    shown = capsys.readouterr().err
    assert got == status
    assert fragment in shown
    assert "Traceback" not in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (lambda document: document.update(recipe="other"), "unknown recipe 'other'"),
        (lambda document: document.update(version=99), "version 99"),
        (lambda document: document.update(format="pickle"), "not written by seqjax"),
        (lambda document: document.pop("options"), "lacks options"),
        (lambda document: document["options"].update(hidden_size="4"), "options.hidden_size is '4'"),
        (lambda document: document["options"].update(hidden_size=5), "other sizes"),
        (lambda document: document["options"].update(cell="__import__"), "options.cell"),
        (lambda document: document["options"].update(extra=1), "expected the fields"),
        (lambda document: document["texts"].update(vocabulary="{}"), "fields are none"),
    ],
)
def test_a_run_that_was_changed_is_refused(run, tmp_path, change, fragment, capsys):
    document = json.loads((run / "run.json").read_text())
    change(document)
    (tmp_path / "run.json").write_text(json.dumps(document))
    (tmp_path / "weights.safetensors").write_bytes((run / "weights.safetensors").read_bytes())
    assert main(["predict", str(tmp_path), "text"]) == 2
    assert fragment in capsys.readouterr().err


@pytest.mark.slow
def test_weights_cut_off_are_refused(run, tmp_path, capsys):
    (tmp_path / "run.json").write_bytes((run / "run.json").read_bytes())
    (tmp_path / "weights.safetensors").write_bytes((run / "weights.safetensors").read_bytes()[:-7])
    assert main(["predict", str(tmp_path), "text"]) == 2
    assert "not a whole safetensors file" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.network
def test_the_real_tweets_train_for_a_few_steps(tmp_path, capsys):
    assert main(["train", "sentiment", *SMALL, "--steps", "3", "--run-dir", str(tmp_path / "run")]) == 0
    assert "839 held-out texts" in capsys.readouterr().out
