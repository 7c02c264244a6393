"""The notebooks: one for each chapter of a course on recurrent networks, copied to where they can be run."""

from __future__ import annotations

import os
from pathlib import Path

import seqjax


def chapters() -> tuple[Path, ...]:
    """The notebooks as Jupytext keeps them, in the order of the chapters.

    Returns:
      Python files. In an installed package they lie inside it, in a clone beside it.

    Raises:
      FileNotFoundError: if there are none.

    Example:
      >>> [chapter.stem for chapter in chapters()][:2]
      ['01_delay_taps', '02_kalman_filter']
    """
    package = Path(seqjax.__file__).parent
    for folder in (package / "notebooks", package.parent / "notebooks"):
        found = tuple(sorted(folder.glob("[0-9][0-9]_*.py")))
        if found:
            return found
    raise FileNotFoundError(
        f"{package} holds no notebooks: the installation is not whole. Install seqjax again."
    )


def copy_chapters(folder: str | os.PathLike) -> list[Path]:
    """Writes every chapter as a notebook of Jupyter.

    Args:
      folder: where to; it is made if it is not there.

    Returns:
      The files that were written.

    Raises:
      ImportError: if jupytext is not installed; the message names the extra.
      FileExistsError: if one of the files is there already, with somebody's work perhaps. Then nothing is
        written.
      OSError: if the folder cannot be written to.

    Example:
      >>> copy_chapters("course")  # doctest: +SKIP
    """
    try:
        import jupytext
    except ImportError as error:
        raise ImportError('notebooks are written by jupytext: pip install "seqjax[notebooks]".') from error
    pairs = [(chapter, Path(folder) / f"{chapter.stem}.ipynb") for chapter in chapters()]
    existing = [str(target) for _, target in pairs if target.exists()]
    if existing:
        raise FileExistsError(
            f"folder is {folder}, which holds {existing[0]} already: give another, or move it away."
        )
    Path(folder).mkdir(parents=True, exist_ok=True)
    for chapter, target in pairs:
        notebook = jupytext.read(chapter, fmt="py:percent")
        notebook.metadata["kernelspec"] = {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        }
        jupytext.write(notebook, target, fmt="ipynb")
    return [target for _, target in pairs]
