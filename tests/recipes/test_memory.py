"""What cells remember: a table, end to end."""

import json
import math

import jax
import pytest

from seqjax.__main__ import main
from seqjax.recipes import memory
from seqjax.recipes.material.memory_problems import PROBLEMS, SOLVED
from seqjax.recipes.shared.options import CELLS


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of parity, over few steps."""
    folder = tmp_path_factory.mktemp("runs") / "memory"
    arguments = ["--task", "parity", "--cells", "elman", "--lengths", "3", "--hidden-size", "16"]
    budget = ["--steps", "400", "--learning-rate", "0.02", "--batch-size", "16"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "HELD_OUT", 64)
        assert main(["train", "memory", *arguments, *budget, "--run-dir", str(folder)]) == 0
    return folder


def test_a_short_parity_is_solved_before_the_budget_is_spent(run):
    results = json.loads((run / "run.json").read_text())["results"]
    assert results["memoryless 3"] == pytest.approx(2 / 3 * math.log(2))
    assert results["elman 3"] < SOLVED * results["memoryless 3"]
    assert results["elman 3 solved after"] in (100, 200, 300)


def test_the_report_holds_the_table_and_the_curves(run):
    report = (run / "report.md").read_text()
    assert "3 steps  solved after" in report
    assert "![curves](curves.png)" in report
    assert (run / "weights.safetensors").is_file()
    assert "inputs" in report


@pytest.mark.parametrize(
    ("cell", "name"), [*((cell, "adding") for cell in sorted(CELLS)), *(("gru", name) for name in PROBLEMS)]
)
def test_every_cell_and_every_problem_make_a_task(cell, name):
    problem = PROBLEMS[name]
    task, batch = memory.network(memory.Options(task=name, hidden_size=4), cell), problem.draw(2, 10, seed=0)

    def loss(key):
        return task.loss(task.init(key, problem.input_size), batch)[1].metrics[problem.metric]

    assert jax.eval_shape(loss, jax.random.key(0)).shape == ()


def test_a_network_that_diverges_is_a_row_of_the_table(monkeypatch, tmp_path, capsys):
    def exploding(*arguments, **options):
        raise FloatingPointError("loss is nan at step 7.")

    monkeypatch.setattr(memory, "learn", exploding)
    arguments = ["--cells", "elman", "--lengths", "600", "--run-dir", str(tmp_path)]
    assert main(["train", "memory", *arguments]) == 0
    shown = capsys.readouterr().out
    assert "diverged: loss is nan at step 7." in shown
    assert shown.split("solved after")[1].split("\n")[2].split()[-3:] == ["inf", "not", "0.18"]
    results = json.loads((tmp_path / "run.json").read_text())["results"]
    assert results["elman 600"] is None
    assert "published: RNN 0.177 mean squared error (Bai et al., 2018, table 1)" in shown


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["--cells", "lstm,lstn"], "cells is 'lstm,lstn', expected some of elman"),
        (["--cells", "gru,gru"], "each once"),
        (["--lengths", "50,"], "lengths is '50,'"),
        (["--lengths", "0"], "lengths is '0'"),
        (["--task", "temporal_order", "--lengths", "5"], "num_steps is 5"),
        (["--task", "forgetting"], "invalid choice: 'forgetting'"),
    ],
)
def test_mistakes_on_the_command_line_are_told_in_a_line(arguments, fragment, tmp_path, capsys):
    try:
        status = main(["train", "memory", *arguments, "--run-dir", str(tmp_path)])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert fragment in capsys.readouterr().err
