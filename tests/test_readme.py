"""The README runs as it is read, with the output that it shows; the pages name what exists."""

import ast
import re
import runpy
from pathlib import Path

import jax
import pytest

import seqjax as sj

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


@pytest.fixture
def quick_compilation():
    """Examples compile much and compute little."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


PAGES = sorted(["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])


# The architecture page shows structures, not examples.
@pytest.mark.slow
@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/architecture.md"])
def test_examples_print_what_they_show(page, tmp_path, capsys):
    code = python_of((ROOT / page).read_text())
    script = tmp_path / "page.py"
    script.write_text(code)
    runpy.run_path(str(script))
    shown = re.findall(r"^print\(.*\)(?:  |\n)# (.+)$", code, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == shown


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    path = ROOT / page
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_architecture_shows_the_structures_as_they_are():
    code = python_of((ROOT / "docs" / "architecture.md").read_text())
    shown = {
        node.name: tuple(field.target.id for field in node.body)
        for node in ast.parse(code).body
        if isinstance(node, ast.ClassDef)
    }
    assert shown == {
        part.__name__: part._fields for part in (sj.Cell, sj.Gated, sj.Affine, sj.LinearAttention, sj.Layer)
    }


def test_architecture_shows_the_files_that_exist():
    page = (ROOT / "docs" / "architecture.md").read_text()
    shown = set(re.findall(r"^  ([a-z_]+(?:/|\.py)) ", page, re.MULTILINE))
    package = ROOT / "seqjax"
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert shown == folders | {path.name for path in package.glob("*.py")} - {"__init__.py"}
