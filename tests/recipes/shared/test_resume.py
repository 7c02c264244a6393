"""`train --resume`: a recipe that is stopped by a signal goes on as if it had not been, bit for bit."""

import dataclasses
import signal
import sys
import types

import jax
import numpy as np
import pytest

import seqjax as sj
from seqjax import __main__, training
from seqjax.__main__ import main
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.learning import LearningOptions, learn

GENERATOR = np.random.default_rng(0)
BATCHES = [sj.Batch(GENERATOR.normal(size=(3, 2, 1)), GENERATOR.normal(size=(3, 2, 1))) for _ in range(3)]
SEEN = BATCHES[:1]
TASK = sj.tasks.synced(sj.elman(2), sj.heads.gaussian(1, scale=1.0))


@dataclasses.dataclass(frozen=True)
class Options(LearningOptions):
    """As they are."""


@pytest.fixture
def recipe(monkeypatch):
    """A recipe of a few steps; `stop_at` of its module is the batch before which a signal comes."""
    module = types.ModuleType("seqjax.recipes.tiny")
    module.Options, module.stop_at = Options, None
    evaluate = training.make_evaluation(TASK.loss)

    def train(options, folder):
        folder = runs.open_folder(folder)
        given, key = [], jax.random.key(options.seed)

        def batches(epoch):
            for place in np.random.default_rng((options.seed, epoch)).permutation(3):
                given.append(place)
                if len(given) == module.stop_at:
                    signal.raise_signal(signal.SIGTERM)
                yield BATCHES[place]

        fit = learn(
            TASK.loss,
            lambda optimizer: jax.jit(lambda key: training.init_state(key, TASK, optimizer, 1))(key),
            batches,
            3,
            options,
            lambda params: evaluate(params, SEEN),
            checkpoints=runs.checkpoints(folder, options),
            progress=False,
        )
        runs.save_run(folder, "tiny", options, fit.best, results={"steps": len(fit.history["loss"])})

    module.train = train
    monkeypatch.setitem(sys.modules, "seqjax.recipes.tiny", module)
    monkeypatch.setitem(__main__.RECIPES, "tiny", "a recipe")
    return module


@pytest.mark.slow
def test_a_recipe_is_stopped_and_goes_on(recipe, tmp_path, capsys):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    arguments = ["train", "tiny", "--epochs", "4", "--run-dir"]
    assert main([*arguments, str(whole), "--resume"]) == 0  # there is nothing yet: it begins
    capsys.readouterr()

    recipe.stop_at = 5
    assert main([*arguments, str(cut)]) == 128 + signal.SIGTERM
    told = capsys.readouterr().err
    assert "stopped by SIGTERM after step 5, which is saved in" in told
    assert "Add --resume." in told

    assert main([*arguments, str(cut)]) == 2
    assert "holds an unfinished training: go on with --resume" in capsys.readouterr().err
    assert main([*arguments, str(cut), "--seed", "1", "--resume"]) == 2
    assert "seed was 0 in" in capsys.readouterr().err

    recipe.stop_at = None
    assert main([*arguments, str(cut), "--resume", "--minutes", "9"]) == 0
    assert "going on after step 5" in capsys.readouterr().out
    names = ["report.md", "run.json", "weights.safetensors"]
    assert sorted(path.name for path in cut.iterdir()) == names
    assert (cut / names[2]).read_bytes() == (whole / names[2]).read_bytes()
    assert runs.read_run(cut)["results"] == {"steps": 12}

    assert main([*arguments, str(whole), "--resume"]) == 0
    assert "holds a finished run with these options" in capsys.readouterr().out


def test_a_training_that_fails_tells_so_in_a_line(recipe, tmp_path, monkeypatch, capsys):
    bad = [sj.Batch(np.full((3, 2, 1), np.nan), batch.targets) for batch in BATCHES]
    monkeypatch.setattr(sys.modules[__name__], "BATCHES", bad)
    assert main(["train", "tiny", "--epochs", "9", "--run-dir", str(tmp_path)]) == 1
    assert "10 steps in a row were skipped" in capsys.readouterr().err
