"""The page on published figures has a command for each of them, and every command can be given."""

import re
from pathlib import Path

import pytest

from seqjax.__main__ import _parser
from seqjax.recipes.shared.published import PUBLISHED

PAGE = (Path(__file__).parents[3] / "docs" / "evidence.md").read_text(encoding="utf-8")
COMMANDS = [line.split()[3:] for line in PAGE.splitlines() if line.startswith("python -m seqjax train")]


def told(command):
    """What a command tells its recipe, lists of cells and lengths as the first of each."""
    given = vars(_parser(command).parse_args(command))
    if given["recipe"] == "memory":
        given |= {"cell": given["cells"].split(",")[0], "length": int(given["lengths"].split(",")[0])}
    return given


@pytest.mark.parametrize(
    "figure", PUBLISHED, ids=lambda figure: f"{figure.recipe}-{figure.model}-{figure.value:.3g}"
)
def test_every_figure_is_on_the_page_with_a_command_that_asks_for_it(figure):
    runs = [told(command) for command in COMMANDS if command[1] == figure.recipe]
    assert any(all(run[name] == value for name, value in figure.when.items()) for run in runs)
    assert re.search(rf"\| {figure.value:.4g}\b", PAGE.replace("5.3e-5", "5.3e-05")), figure.value
    assert figure.source.split(",")[0] in PAGE
