"""The chapters of the course as pages: the text and code of `notebooks/`, which the checks run."""

from pathlib import Path

from seqjax.recipes.shared.chapters import chapters

INTRODUCTION = """# A course

Fourteen chapters, from delay taps to ensembles. Each asks a question, trains something real, draws it and
asserts what it found. These pages show their text and code; `python -m seqjax notebooks course` copies them
as notebooks, to be run and changed.

```{{toctree}}
:maxdepth: 1

{names}
```
"""


def write(folder: Path) -> None:
    """Writes a page for each chapter, and one that lists them.

    Args:
      folder: where to.
    """
    import jupytext

    folder.mkdir(exist_ok=True)
    for path in chapters():
        cells = jupytext.read(path).cells
        parts = [
            cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```"
            for cell in cells
        ]
        (folder / f"{path.stem}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    names = "\n".join(path.stem for path in chapters())
    (folder / "index.md").write_text(INTRODUCTION.format(names=names), encoding="utf-8")
