"""Notebooks are copied whole, and never over somebody's work. CI runs them; here none is."""

import ast

import pytest

from seqjax.__main__ import main
from seqjax.recipes.shared.chapters import chapters, copy_chapters


def test_every_chapter_is_there_and_ends_with_what_it_asserts():
    found = chapters()
    numbers = [int(chapter.stem[:2]) for chapter in found]
    assert numbers == list(range(1, 15))
    for chapter in found:
        text = chapter.read_text(encoding="utf-8")
        last = ast.parse(text.rsplit("# %%", 1)[1])
        assert any(isinstance(node, ast.Assert) for node in last.body), chapter.name
        assert "**The question.**" in text, chapter.name


def test_chapters_become_notebooks(tmp_path, capsys):
    nbformat = pytest.importorskip("nbformat", reason="of the extra notebooks")
    pytest.importorskip("jupytext", reason="of the extra notebooks")
    assert main(["notebooks", str(tmp_path / "course")]) == 0
    assert "jupyter lab" in capsys.readouterr().out
    written = sorted((tmp_path / "course").iterdir())
    assert [path.stem for path in written] == [chapter.stem for chapter in chapters()]
    first = nbformat.read(written[0], as_version=4)
    nbformat.validate(first)
    assert first.cells[0].cell_type == "markdown"
    assert first.cells[-1].cell_type == "code"
    assert main(["notebooks", str(tmp_path / "course")]) == 1
    assert "already: give another, or move it away" in capsys.readouterr().err


def test_no_notebook_is_written_over(tmp_path):
    pytest.importorskip("jupytext", reason="of the extra notebooks")
    mine = tmp_path / f"{chapters()[3].stem}.ipynb"
    mine.write_text("my work")
    with pytest.raises(FileExistsError, match="give another"):
        copy_chapters(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [mine.name]
    assert mine.read_text() == "my work"
