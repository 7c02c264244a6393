"""Runs write reports, with the pictures that were drawn."""

import dataclasses
import re

import numpy as np
import pytest

from seqjax import plot
from seqjax.__main__ import main
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.options import option


@dataclasses.dataclass(frozen=True)
class Options:
    cell: str = option("lstm", "which cell")
    hidden_size: int = option(4, "units")
    steps: int | None = option(None, "steps")


def test_a_report_holds_the_command_the_output_and_the_pictures(tmp_path, capsys):
    with runs.reported(tmp_path, "made_up", "a test", Options(cell="a b", steps=3)):
        print("```\n# not a heading")
        plot.save(plot.new_figure()[0], tmp_path / "b.png")
        plot.save(plot.new_figure()[0], tmp_path / "a.png")
    assert capsys.readouterr().out == "```\n# not a heading\n"
    command, took, printed = (tmp_path / "report.md").read_text().split("\n\n")[1:4]
    assert command == f"    python -m seqjax train made_up --cell 'a b' --steps 3 --run-dir {tmp_path}"
    assert re.fullmatch(r"Took \d+ s on .*\d+ CPU cores, and printed:", took)
    assert printed == "    ```\n    # not a heading"
    assert (tmp_path / "report.md").read_text().endswith("\n\n![a](a.png)\n\n![b](b.png)\n")


def test_a_run_that_fails_writes_no_report(tmp_path):
    with pytest.raises(ValueError, match="no"), runs.reported(tmp_path, "made_up", "a test", Options()):
        raise ValueError("no")
    assert not list(tmp_path.iterdir())


def test_a_run_without_predictions_says_so(tmp_path, capsys):
    runs.save_run(tmp_path, "nile", Options(), {"scale": np.ones(1)}, results={})
    assert main(["predict", str(tmp_path), "1971"]) == 2
    assert "the recipe 'nile', which has nothing to predict with" in capsys.readouterr().err


def test_columns_are_as_wide_as_they_must_be(capsys):
    runs.print_table(("a", "long name"), [("long row", "1"), ("b", "12345678901")])
    assert capsys.readouterr().out.splitlines() == [
        "a           long name",
        "long row            1",
        "b         12345678901",
    ]
    runs.print_table(("a", "b"), [])
    assert capsys.readouterr().out == "a  b\n"
