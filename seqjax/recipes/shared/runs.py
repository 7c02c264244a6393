"""A run's folder: options, vocabulary and results as JSON, weights as safetensors, pictures, a report."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import jax
import numpy.typing as npt

from seqjax import plot
from seqjax.files import write_whole
from seqjax.recipes.shared.options import read_options
from seqjax.training import Checkpoints, newest_checkpoint, save_weights
from seqjax.types import Params

FORMAT = "seqjax run"
VERSION = 1
CHECKPOINTS = "checkpoints"
"""The folder inside a run's that is there as long as its training is not finished."""


def open_folder(folder: str | os.PathLike) -> Path:
    """Makes a folder that can be written to, before any time is spent on training.

    Args:
      folder: where the run is to be kept.

    Returns:
      The folder.

    Raises:
      OSError: if it cannot be made or written to; the message says what to do.

    Example:
      >>> import tempfile
      >>> open_folder(Path(tempfile.mkdtemp()) / "run").is_dir()
      True
    """
    folder = Path(folder)
    probe = folder / f".probe.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OSError(
            f"run_dir is {folder}, which cannot be written to ({error.strerror or error}): "
            f"give another with --run-dir."
        ) from error
    return folder


def save_run(
    folder: Path, recipe: str, options: Any, params: Params, *, results: Mapping[str, Any], **texts: str
) -> None:
    """Writes what `load_run` needs to answer with a trained model.

    Args:
      folder: the run's folder.
      recipe: the recipe's name.
      options: the recipe's dataclass of options.
      params: the trained params.
      results: figures to keep, numbers by name.
      **texts: further content, such as the vocabulary's JSON, by name.

    Example:
      >>> import tempfile
      >>> @dataclasses.dataclass
      ... class Options:
      ...     hidden_size: int = 4
      >>> folder = Path(tempfile.mkdtemp())
      >>> save_run(folder, "sentiment", Options(), {"scale": 1.0}, results={"accuracy": 0.9})
      >>> read_run(folder)["results"]
      {'accuracy': 0.9}
    """
    save_weights(folder / "weights.safetensors", params)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "recipe": recipe,
        "options": dataclasses.asdict(options),
        "results": dict(results),
        "texts": texts,
    }
    write_whole(folder / "run.json", json.dumps(document, indent=2, sort_keys=True).encode())
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def checkpoints(folder: Path, options: Any, part: str = "") -> Checkpoints:
    """Where a recipe's training is saved once a minute, and goes on from; says so where it does.

    Args:
      folder: the run's folder.
      options: the recipe's dataclass of options; a training with others, but for `minutes`, cannot go on.
      part: which of several trainings of the run it is, whose end is saved too.

    Returns:
      What `training.fit` takes.

    Example:
      >>> @dataclasses.dataclass
      ... class Options:
      ...     hidden_size: int = 4
      ...     minutes: float | None = 3.0
      >>> dict(checkpoints(Path("no-such-folder"), Options()).notes)
      {'hidden_size': 4}
    """
    place = folder / CHECKPOINTS / part
    newest = newest_checkpoint(place)
    if newest is not None:
        print(f"going on after step {int(newest.name)}, from {newest}\n")
    notes = {name: value for name, value in dataclasses.asdict(options).items() if name != "minutes"}
    return Checkpoints(place, notes=notes, at_end=bool(part))


def is_to_train(folder: Path, options: Any, *, resume: bool) -> bool:
    """Whether there is anything to train.

    Args:
      folder: the run's folder.
      options: the recipe's dataclass of options.
      resume: whether an unfinished training is to go on.

    Returns:
      False where a finished run with these options is to be gone on with.

    Raises:
      ValueError: if there is an unfinished training which is not to go on.

    Example:
      >>> is_to_train(Path("no-such-folder"), None, resume=True)
      True
    """
    if any(folder.glob(f"{CHECKPOINTS}/**/manifest.json")):
        if not resume:
            raise ValueError(
                f"run_dir is {folder}, which holds an unfinished training: go on with --resume, or give "
                f"another folder."
            )
        return True
    if not resume or not (folder / "run.json").is_file():
        return True
    return read_run(folder)["options"] != json.loads(json.dumps(dataclasses.asdict(options)))


def read_run(folder: str | os.PathLike) -> dict[str, Any]:
    """Reads a run's JSON, and checks that it is one.

    Args:
      folder: the run's folder.

    Returns:
      `recipe`, `options`, `results` and `texts`, as they were saved.

    Raises:
      ValueError: if there is no run, or its file is not of this form.

    Example:
      >>> read_run("no-such-folder")
      Traceback (most recent call last):
      ValueError: run is no-such-folder, which holds no run.json: give the folder that `train` printed.
    """
    path = Path(folder) / "run.json"
    if not path.is_file():
        raise ValueError(f"run is {folder}, which holds no run.json: give the folder that `train` printed.")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"run is {folder}, whose run.json is not JSON: {error}.") from error
    kinds = {"recipe": str, "options": dict, "results": dict, "texts": dict}
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"run is {folder}, whose run.json was not written by seqjax.")
    if document.get("version") != VERSION:
        raise ValueError(
            f"run is {folder}, of version {document.get('version')!r}; this seqjax reads version {VERSION}."
        )
    for name, kind in kinds.items():
        if not isinstance(document.get(name), kind):
            raise ValueError(f"run is {folder}, whose run.json lacks {name}: it was changed or cut off.")
    return document


def load_run(folder: str | os.PathLike, recipe: str, options: type) -> tuple[Any, dict[str, Any]]:
    """The options and the document of a run of a recipe.

    Args:
      folder: the run's folder.
      recipe: the recipe that is to answer.
      options: its dataclass of options.

    Returns:
      The options, and what `read_run` gives.

    Raises:
      ValueError: if the run is of another recipe, or not whole.

    Example:
      >>> load_run("no-such-folder", "sentiment", object)
      Traceback (most recent call last):
      ValueError: run is no-such-folder, which holds no run.json: give the folder that `train` printed.
    """
    document = read_run(folder)
    if document["recipe"] != recipe:
        raise ValueError(f"run is {folder}, of the recipe {document['recipe']!r}, expected {recipe!r}.")
    return read_options(options, document["options"]), document


@contextlib.contextmanager
def reported(folder: Path, recipe: str, line: str, options: Any) -> Iterator[None]:
    """Writes what a recipe prints, as it prints it, and its pictures into the run's `report.md`.

    Args:
      folder: the run's folder.
      recipe: the recipe's name.
      line: what it is about.
      options: its dataclass of options.

    Example:
      >>> import tempfile
      >>> @dataclasses.dataclass
      ... class Options:
      ...     hidden_size: int = 4
      >>> folder = Path(tempfile.mkdtemp())
      >>> with reported(folder, "sentiment", "what people feel", Options(hidden_size=8)):
      ...     print("accuracy 0.9")
      accuracy 0.9
      >>> report = (folder / "report.md").read_text()
      >>> "train sentiment --hidden-size 8" in report and "accuracy 0.9" in report
      True
    """
    printed, started = _Kept(sys.stdout), time.perf_counter()
    with contextlib.redirect_stdout(printed):
        yield
    words = ["python", "-m", "seqjax", "train", recipe, *_changed(options), "--run-dir", str(folder)]
    drawn = [f"![{path.stem}]({path.name})" for path in sorted(folder.glob("*.png"))]
    parts = [
        f"# {recipe}: {line}",
        textwrap.indent(shlex.join(words), "    "),
        f"Took {time.perf_counter() - started:.0f} s on {_machine()}, and printed:",
        textwrap.indent(printed.getvalue().rstrip(), "    "),
        *drawn,
    ]
    (folder / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _machine() -> str:
    cores = f"{os.cpu_count()} CPU cores"
    return cores if jax.default_backend() == "cpu" else f"one {jax.devices()[0].device_kind} with {cores}"


class _Kept(io.StringIO):
    """Passes on what is written, and keeps it."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(text)
        return super().write(text)

    def flush(self) -> None:
        self._stream.flush()


def _changed(options: Any) -> Iterator[str]:
    """The options that are not as they are by default, as words of a command line."""
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != field.default:
            name = f"--{field.name.replace('_', '-')}"
            yield from (name,) if value is True else (name, str(value))


def draw_curves(path: Path, curves: Sequence[tuple[str, npt.ArrayLike, Mapping[str, npt.ArrayLike]]]) -> None:
    """Draws how training went, one panel a quantity, readable without colours.

    Args:
      path: the picture to write.
      curves: for each panel the label of its axis, the epochs, and values by the name of their line.

    Raises:
      ImportError: if matplotlib is not installed; the message names the extra.

    Example:
      >>> draw_curves(Path("curve.png"), [("loss", [1, 2], {"training": [0.7, 0.5]})])  # doctest: +SKIP
    """
    figure, panels = plot.new_figure(1, len(curves), (4.5 * len(curves), 3.2))
    for axes, (label, epochs, lines) in zip(panels, curves, strict=True):
        plot.learning_curves(lines, epochs, axes=axes)
        axes.set(xlabel="epoch", ylabel=label)
    plot.save(figure, path)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints rows below a header, the first column to the left, the others to the right.

    Args:
      header: a name for each column.
      rows: as many strings each.

    Example:
      >>> print_table(("states", "AIC"), [("1", "785.8"), ("2", "693.8")])
      states    AIC
      1       785.8
      2       693.8
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        rest = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join([f"{row[0]:{widths[0]}}", *rest]).rstrip())
