"""Gaussian hidden Markov models of Old Faithful, from the command line and back."""

import numpy as np
import pytest

from seqjax import data, training
from seqjax.__main__ import main
from seqjax.recipes import geyser
from seqjax.recipes.shared import runs
from seqjax.statespace import hmm

# Learning compiles for more than ten seconds.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two states, in its folder."""
    folder = tmp_path_factory.mktemp("runs") / "geyser"
    options = ["--min-states", "2", "--max-states", "2", "--restarts", "10"]
    assert main(["train", "geyser", *options, "--run-dir", str(folder)]) == 0
    return folder


def loaded(run):
    """The model that was saved, and the document beside it."""
    options, document = runs.load_run(run, "geyser", geyser.Options)
    model = hmm.gaussian(2, 2, options.covariance)
    like = {
        "chain": hmm.params([0.5, 0.5], [[0.5, 0.5], [0.5, 0.5]]),
        "emission": hmm.gaussian_params(np.zeros((2, 2)), np.stack([np.eye(2)] * 2)),
    }
    params = training.load_weights(run / "weights.safetensors", like)
    scores = model.log_likelihoods(params["emission"], data.geyser().values)
    return params, np.exp(np.asarray(scores, float)), document["results"]


def test_what_is_held_out_is_predicted_from_all_before(run):
    """The sum over states, step by step."""
    params, densities, results = loaded(run)
    belief, nats = np.asarray(params["chain"].initial), []
    for density in densities:
        joint = belief * density
        nats.append(np.log(joint.sum()))
        belief = joint / joint.sum() @ np.asarray(params["chain"].transition)
    assert results["learned from"] == [pytest.approx(np.mean(nats[:224]), abs=1e-4)]
    assert results["held out"] == [pytest.approx(np.mean(nats[224:]), abs=1e-4)]


def test_short_and_long_eruptions_are_told_apart(run):
    _, _, results = loaded(run)
    short, long = sorted(results["means"], key=lambda mean: mean[1])
    assert short[1] < 2.5 < 4 < long[1]
    # After short eruptions nearly always come long ones, soon.
    first = results["means"].index(short)
    assert results["transition"][first][1 - first] > 0.9
    assert long[0] < short[0]


def test_eruptions_are_better_predicted_than_by_one_normal_distribution(run):
    seen, unseen = np.split(data.geyser().values, [224])
    away, covariance = unseen - seen.mean(axis=0), np.cov(seen.T, bias=True)
    distance = np.einsum("ti,ij,tj->t", away, np.linalg.inv(covariance), away)
    nats = np.mean(-0.5 * (distance + np.linalg.slogdet(2 * np.pi * covariance)[1]))
    assert loaded(run)[2]["held out"][0] > nats + 0.5


def test_the_next_eruption_is_predicted(run, capsys):
    assert (run / "geyser.png").read_bytes().startswith(b"\x89PNG")
    assert "![geyser](geyser.png)" in (run / "report.md").read_text()
    # As many as the run has looked at, so that nothing is compiled again.
    texts = [f"{waiting},{duration}" for waiting, duration in data.geyser().values]
    assert main(["predict", str(run), *texts]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == texts
    said = np.array([float(line.split("next: ")[1].split()[0]) for line in lines[:-1]])
    waited = data.geyser().values[1:, 0]
    assert np.mean((said - waited) ** 2) < 0.5 * np.var(waited)


@pytest.mark.parametrize("text", ["80", "80,4,2", "80,x", "80,nan", ""])
def test_eruptions_of_another_form_are_named(run, text, capsys):
    assert main(["predict", str(run), "80,4.2", text]) == 2
    assert "such as 80,4.2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "fragment"),
    [
        ("--max-states", "0", "min_states is 1, expected 1 to max_states, 0"),
        ("--num-held-out", "299", "num_held_out is 299, expected 1 to 298"),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path, option, value, fragment, capsys):
    assert main(["train", "geyser", option, value, "--run-dir", str(tmp_path)]) == 2
    assert fragment in capsys.readouterr().err
