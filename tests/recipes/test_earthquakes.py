"""Poisson hidden Markov models of great earthquakes, from the command line and back."""

import json

import numpy as np
import pytest

from seqjax import data, training
from seqjax.__main__ import main
from seqjax.recipes import earthquakes
from seqjax.recipes.shared import runs
from seqjax.statespace import hmm

# Learning compiles for more than ten seconds.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two states, in its folder."""
    folder = tmp_path_factory.mktemp("runs") / "earthquakes"
    assert (
        main(
            [
                "train",
                "earthquakes",
                "--min-states",
                "2",
                "--max-states",
                "2",
                "--restarts",
                "3",
                "--run-dir",
                str(folder),
            ]
        )
        == 0
    )
    return folder


def test_likelihoods_are_those_of_the_textbook(run):
    """Zucchini & MacDonald (2009, table 3.1), with a first state that is free to be either."""
    results = json.loads((run / "run.json").read_text())["results"]
    assert (results["sizes"], results["states"]) == ([2], 2)
    assert results["negative log-likelihood"] == [pytest.approx(341.8787, abs=2e-4)]
    assert results["aic"] == [pytest.approx(2 * 341.8787 + 2 * 5, abs=1e-3)]
    assert results["bic"] == [pytest.approx(2 * 341.8787 + 5 * np.log(107), abs=1e-3)]
    assert results["rates"] == [pytest.approx([15.42, 26.01], abs=0.01)]


def loaded(run):
    """The model that was saved, and the document beside it."""
    options, document = runs.load_run(run, "earthquakes", earthquakes.Options)
    assert (options.max_states, document["results"]["states"]) == (2, 2)
    like = {
        "chain": hmm.params([0.5, 0.5], [[0.5, 0.5], [0.5, 0.5]]),
        "emission": hmm.PoissonParams(np.zeros(2, np.float32)),
    }
    params = training.load_weights(run / "weights.safetensors", like)
    chain, rates = params["chain"], params["emission"].rates
    return np.asarray(chain.initial), np.asarray(chain.transition), np.asarray(rates), document


def test_the_run_loads_back_and_gives_the_same_path(run):
    initial, transition, rates, document = loaded(run)
    # By hand: the best of all paths that end in each state, year by year.
    scores = data.earthquakes().values[:, None] * np.log(rates) - rates
    best, sources = np.log(initial + 1e-30) + scores[0], []
    for score in scores[1:]:
        sources.append((best[:, None] + np.log(transition)).argmax(axis=0))
        best = (best[:, None] + np.log(transition)).max(axis=0) + score
    path = [int(best.argmax())]
    for source in reversed(sources):
        path.append(int(source[path[-1]]))
    assert document["results"]["path"] == path[::-1]


def test_the_report_holds_what_was_printed(run):
    report = (run / "report.md").read_text()
    assert report.startswith("# earthquakes: great earthquakes a year")
    assert "train earthquakes --min-states 2 --max-states 2 --restarts 3 --run-dir" in report
    assert "341.8787" in report
    assert "![earthquakes](earthquakes.png)" in report
    assert (run / "earthquakes.png").read_bytes().startswith(b"\x89PNG")


def test_years_to_come_are_predicted(run, capsys):
    assert main(["predict", str(run), "2007", "2406"]) == 0
    near, far = (line.split() for line in capsys.readouterr().out.splitlines())
    _, transition, rates, document = loaded(run)
    # The last years were quiet, and what follows them is likely so. Long after, all years are alike.
    assert document["results"]["path"][-1] == 0
    assert float(near[1]) == pytest.approx(transition[0] @ rates, abs=0.3)
    assert float(far[1]) == pytest.approx(np.linalg.matrix_power(transition, 1000)[0] @ rates, abs=0.06)
    assert int(near[6]) < float(near[1]) < int(near[8])
    for text in ("2006", "next"):
        assert main(["predict", str(run), text]) == 2
        assert "expected years after 2006" in capsys.readouterr().err


def test_mistakes_are_told_in_a_line(tmp_path, capsys):
    assert main(["train", "earthquakes", "--max-states", "0", "--run-dir", str(tmp_path)]) == 2
    assert "min_states is 1, expected 1 to max_states, 0" in capsys.readouterr().err
