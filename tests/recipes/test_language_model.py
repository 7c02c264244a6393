"""A language model of a few made-up sentences, and writing with a saved run."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import data, training
from seqjax.__main__ import main
from seqjax.data import Texts
from seqjax.recipes import language_model
from seqjax.recipes.material.character_streams import in_rows
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.options import CELLS

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


@pytest.mark.slow
def test_training_approaches_the_entropy_of_the_source_and_saves_the_run(trained):
    names = ["curve.png", "report.md", "run.json", "weights.safetensors"]
    assert sorted(path.name for path in trained.iterdir()) == names
    results = json.loads((trained / "run.json").read_text())["results"]
    # One of three words every five and two thirds characters, the space after it included.
    entropy = np.log2(3) / (13 / 3 + 1)
    assert entropy < results["network"] < 2 * entropy
    assert results["network"] < results["3-gram"] < results["unigram"]
    assert "bits fewer" in (trained / "report.md").read_text()


@pytest.mark.slow
def test_generate_streams_the_prompt_and_what_follows(trained, capsys):
    arguments = ["generate", str(trained), "--prompt", "dog a", "--num-steps", "5", "--temperature", "0"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == "dog abacus\n"


@pytest.mark.slow
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
