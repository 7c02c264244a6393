"""The README runs as it is read: its examples one after the other, with the output that it shows."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def python_of(document):
    """The Python of a document, each line where it stands there, so that a traceback points into it."""
    lines, inside = [], False
    for line in document.splitlines():
        if line.startswith("```"):
            inside = line == "```python"
            line = ""
        lines.append(line if inside else "")
    return "\n".join(lines) + "\n"


def test_examples_print_what_they_show(tmp_path, capsys):
    code = python_of((ROOT / "README.md").read_text())
    script = tmp_path / "README.py"
    script.write_text(code)
    runpy.run_path(str(script))
    shown = re.findall(r"^print\(.*\)(?:  |\n)# (.+)$", code, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == shown


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_links_lead_somewhere(page):
    path = ROOT / page
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
    assert [target for target in targets if not (path.parent / target).exists()] == []
