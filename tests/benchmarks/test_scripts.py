"""Each benchmark says what it takes, and runs at small sizes, from any folder and without a peer."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
SMALL = {
    "cells.py": "--quick --only elman forward",
    "chaos.py": "--quick",
    "compile_time.py": "--quick --only elman",
    "layers.py": "--quick --only gru ragged forward",
    "linear_recurrence.py": "--quick --shapes float32 --only auto",
    "memory.py": "--quick --only elman T=100",
    "parallel_in_time.py": "--quick --only new forward",
    "reliability.py": "--quick --only lengths",
    "scaling.py": "--quick --only gru forward T",
    "statespace.py": "--quick --only hmm filter K=4 B=1",
    "training.py": "--quick --only gru ensemble",
}
"""By script a run that takes seconds."""


def _run(script: str, arguments: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(FOLDER / script), *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def test_every_script_is_tried_and_told_of():
    scripts = {
        path.name for path in FOLDER.glob("*.py") if '__name__ == "__main__"' in path.read_text("utf-8")
    }
    assert scripts - {"__main__.py"} == set(SMALL)
    rows = [line for line in (FOLDER / "README.md").read_text("utf-8").splitlines() if line.startswith("| `")]
    assert sorted(row.split("`")[1] for row in rows) == sorted(SMALL)


@pytest.mark.parametrize("script", [*SMALL, "__main__.py"])
def test_help(script, tmp_path):
    done = _run(script, ["--help"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "usage: " in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("script", SMALL)
def test_small_run_is_written_and_rendered(script, tmp_path):
    name = script.removesuffix(".py")
    results, page = tmp_path / "results", tmp_path / "page"
    results.mkdir()
    output = results / f"{name}_cpu.json"
    done = _run(script, [*SMALL[script].split(), "--output", str(output)], tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(output.read_text("utf-8"))
    assert document["environment"]["versions"]["jax"]
    assert document.get("cells") or document["results"]

    spec = importlib.util.spec_from_file_location("performance", ROOT / "docs" / "performance.py")
    performance = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(performance)
    performance.RESULTS = results
    performance.write(page)
    text = (page / "index.md").read_text("utf-8")
    assert text.count("\n## ") == 1
    assert text.count("\n| ") > 2


@pytest.mark.slow
def test_a_peer_that_is_missing_is_left_out(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('not here')\n", "utf-8")
    done = _run("cells.py", SMALL["cells.py"].split(), tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "torch is left out" in done.stderr
    (cell,) = [line for line in done.stdout.splitlines() if line.startswith("elman forward")]
    seqjax, flax, torch = (cell.split()[place] for place in (6, 7, 11))
    assert (float(seqjax) > 0, float(flax) > 0, torch) == (True, True, "-")
