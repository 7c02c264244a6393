"""Translation end to end on made-up sentences."""

import json

import numpy as np
import pytest

from seqjax import data
from seqjax.__main__ import main
from seqjax.data import Translations

SMALL = [
    "--cell",
    "gru",
    "--hidden-size",
    "16",
    "--embedding-size",
    "16",
    "--dropout",
    "0",
    "--pieces",
    "300",
]
WORDS = {"cold": "freddo", "warm": "caldo", "red": "rosso", "blue": "blu", "big": "grande", "old": "vecchio"}


def made_up(language):
    """Sentences of a noun and three of its properties, which the other language puts the other way round."""
    generator = np.random.default_rng(0)
    chosen = sorted({tuple(generator.choice(sorted(WORDS), 3)) for _ in range(300)})
    order = generator.permutation(len(chosen))
    sources = [" ".join([*chosen[row], "light"]) for row in order]
    targets = [" ".join(["luce", *(WORDS[word] for word in reversed(chosen[row]))]) for row in order]
    return Translations(sources, targets, ("en", language), "made up", "these tests")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on made-up sentences, too short to learn anything, in its folder."""
    folder = tmp_path_factory.mktemp("runs") / "translation"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "translation", made_up)
        assert main(["train", "translation", *SMALL, "--steps", "3", "--run-dir", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_a_network_that_loses_to_its_baseline_says_so(run):
    results = json.loads((run / "run.json").read_text())["results"]
    assert results["network: bleu"] < results["of the nearest sentence: bleu"] < 100
    assert results["the source as it is: chrf"] < 50
    report = (run / "report.md").read_text()
    assert all(f"![{name}]({name}.png)" in report for name in ("attention", "curve"))
    assert "The network loses to looking up the nearest sentence." in report


@pytest.mark.slow
def test_translate_answers_what_training_reported(run, capsys):
    report = (run / "report.md").read_text().splitlines()
    place = report.index(next(line for line in report if "are not, such as:" in line)) + 1
    assert main(["translate", str(run), report[place].strip()]) == 0
    assert capsys.readouterr().out.strip() == report[place + 1].strip()


def test_a_run_that_cannot_predict_says_what_it_can(tmp_path, capsys):
    document = {"format": "seqjax run", "version": 1, "recipe": "translation"}
    document |= {name: {} for name in ("options", "results", "texts")}
    (tmp_path / "run.json").write_text(json.dumps(document))
    assert main(["predict", str(tmp_path), "a light"]) == 2
    assert "nothing to predict with: try translate" in capsys.readouterr().err


def test_an_unknown_language_is_told_in_a_line(capsys):
    with pytest.raises(SystemExit):
        main(["train", "translation", "--language", "nl"])
    assert "'de', 'es', 'fr', 'it'" in capsys.readouterr().err


def test_a_missing_package_is_told_before_training(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(__import__("sys").modules, "sacrebleu", None)
    assert main(["train", "translation", "--run-dir", str(tmp_path / "run")]) == 1
    assert 'pip install "seqjax[text]"' in capsys.readouterr().err
