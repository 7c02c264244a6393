"""Who speaks, end to end on made-up utterances, which only their order tells apart."""

import json

import jax
import numpy as np
import pytest

from seqjax import data
from seqjax.__main__ import main
from seqjax.data import LabelledSeries
from seqjax.recipes import vowels


def made_up(count, seed):
    """Speaker 1 rises and speaker 2 falls, through the same values."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int32) % 2
    lengths = generator.integers(3, 7, count)
    ramps = [np.linspace(-1, 1, t) * (1 - 2 * label) for t, label in zip(lengths, labels, strict=True)]
    noise = [generator.normal(0, 0.3, (t, vowels.NUM_FEATURES)) for t in lengths]
    series = [(ramp[:, None] + one).astype(np.float32) for ramp, one in zip(ramps, noise, strict=True)]
    return LabelledSeries(series, labels, ("1", "2"), "made up", "these tests")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run, its folder."""
    folder = tmp_path_factory.mktemp("runs") / "vowels"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "japanese_vowels", lambda: (made_up(80, 0), made_up(40, 1)))
        arguments = ["--cell", "elman", "--hidden-size", "4", "--batch-size", "16", "--learning-rate", "0.03"]
        assert main(["train", "vowels", *arguments, "--run-dir", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_an_order_is_learned_that_single_steps_do_not_tell(run):
    results = json.loads((run / "run.json").read_text())["results"]
    assert results["one_for_all"] == 0.5
    assert results["network"] > 0.9 > 0.75 > results["steps_alone"]


@pytest.mark.slow
def test_the_report_holds_table_and_pictures(run):
    report = (run / "report.md").read_text()
    assert "64 utterances to learn from, 16 to validate, 40 held out" in report
    assert "![curve](curve.png)" in report
    assert "![confusions](confusions.png)" in report


@pytest.mark.slow
def test_predict_answers_about_files_of_numbers(run, tmp_path, capsys):
    names = []
    for number, one in enumerate(made_up(4, 2).series):
        names.append(str(tmp_path / f"{number}.csv"))
        np.savetxt(names[-1], one, delimiter=",")
    assert main(["predict", str(run), *names, str(run / vowels.EXAMPLE)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["1", "2", "1", "2", "1"]
    assert lines[0].endswith(names[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (None, "is not there"),
        ("", "holds an array [0]"),
        ("1,2,3\n", "holds an array [1, 3]"),
        ("1,2\n1\n", "no table of numbers"),
        ("speaker,one\n", "no table of numbers"),
        (",".join(["nan"] * 12), "expected lines of 12 finite numbers"),
    ],
)
def test_files_that_hold_no_utterance_are_told_in_a_line(run, tmp_path, content, fragment, capsys):
    file = tmp_path / "utterance.csv"
    if content is not None:
        file.write_text(content)
    assert main(["predict", str(run), str(file)]) in (1, 2)
    shown = capsys.readouterr().err
    assert fragment in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("cell", ["lru", "lstm_norm", "qrnn"])
def test_cells_of_all_kinds_run_in_both_directions(cell):
    task = vowels.network(vowels.Options(cell=cell, hidden_size=4, num_layers=2), 3)
    params = jax.eval_shape(lambda key: task.init(key, 12), jax.random.key(0))
    inputs, lengths = np.ones((5, 2, 12), np.float32), np.array([5, 3])
    shares = jax.eval_shape(
        lambda params: task.predict(params, inputs, lengths=lengths)[1].probabilities, params
    )
    assert shares.shape == (2, 3)


def test_help_names_the_options(capsys):
    with pytest.raises(SystemExit):
        main(["train", "vowels", "--help"])
    assert "--pooling" in capsys.readouterr().out
