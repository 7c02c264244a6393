"""What `fit` puts into a checkpoint besides the state, and how it goes on from one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from seqjax.training.checkpoints import Checkpoints, Writer, load_checkpoint, newest_checkpoint
from seqjax.training.checkpoints.manifest import read_manifest
from seqjax.training.history import Log, Past, Place
from seqjax.training.passes import Passes
from seqjax.training.selection import Selection
from seqjax.training.state import TrainingState
from seqjax.training.step import Step
from seqjax.training.table import Table
from seqjax.training.weights import load_weights, read_weights


class Standing(NamedTuple):
    """Where a training stands.

    Attributes:
      state: the state after the last step.
      first: the number of steps that the first state had taken.
      done: the number of steps since.
      place: the batch that comes next.
    """

    state: TrainingState
    first: int
    done: int
    place: Place


def save(
    writer: Writer, standing: Standing, log: Log, selection: Selection, passes: Passes, settings: Checkpoints
) -> None:
    """Begins a checkpoint of a training.

    Args:
      writer: what writes it.
      standing: where it stands.
      log: whose steps have been fetched.
      selection: of the best params.
      passes: the batches.
      settings: whose notes are kept as well.

    Example:
      >>> save(writer, standing, log, selection, passes, settings)  # doctest: +SKIP
    """
    value, best, best_step = selection.best or (None, None, None)
    weights = {"history": log.columns(), "validation": selection.columns(), "best": best}
    progress = {
        "first": standing.first,
        "done": standing.done,
        "epoch": standing.place.epoch,
        "batch": standing.place.batch,
        "seconds": log.seconds,
        "skipped": log.skipped,
        "in_a_row": np.asarray(log.in_a_row).tolist(),
        "validations": selection.table.added,
        "validated": selection.last_step,
        "best_value": value,
        "best_step": best_step,
        "waited": selection.waited,
        "stopped": selection.stopped,
    }
    notes = {"run": dict(settings.notes), "progress": progress, "data": passes.state()}
    step = standing.first + standing.done
    weights = {
        name: tree for name, tree in weights.items() if tree is not None and len(jax.tree.leaves(tree))
    }
    writer.save(standing.state, step, weights, notes, best=settings.keep_best > 0 and best_step == step)


def resume(
    settings: Checkpoints, state: TrainingState, step: Step, passes: Passes, selection: Selection
) -> tuple[Standing, Past] | None:
    """Goes on from the newest whole checkpoint of a folder, if there is one.

    Args:
      settings: the folder, and notes that must be those of the checkpoint.
      state: the first state, for its structure and where its leaves are placed.
      step: for the structure of a carry that the first state does not have.
      passes: the batches, which are put back to where they stood.
      selection: which is put back as well.

    Returns:
      Where the training stands, and what its log goes on from; `None` to begin at the beginning.

    Raises:
      ValueError: if the checkpoint is of another state, other batches or other notes; the message names what.

    Example:
      >>> resume(settings, state, step, passes, selection) is None  # doctest: +SKIP
      True
    """
    path = newest_checkpoint(settings.folder)
    if path is None:
        return None
    document = read_manifest(path)
    notes = document["notes"]
    _check_notes(path, notes.get("run"), settings.notes)
    progress = _progress(path, notes)
    passes.restore(notes.get("data", {}))
    if state.carry is None and any(_is_carry(leaf["name"]) for leaf in document["leaves"]):
        shapes, _ = jax.eval_shape(step, state, passes.example())
        state = dataclasses.replace(state, carry=shapes.carry)
    found = load_checkpoint(path, state)
    _restore_selection(path, progress, state, selection)
    standing = Standing(
        found.state, progress["first"], progress["done"], Place(progress["epoch"], progress["batch"])
    )
    columns = read_weights(path / "history.safetensors") if progress["done"] else {}
    in_a_row = np.asarray(progress["in_a_row"], int)
    past = Past(columns, standing.done, progress["seconds"], progress["skipped"], in_a_row)
    return standing, past


def _restore_selection(
    path: Path, progress: Mapping[str, Any], state: TrainingState, selection: Selection
) -> None:
    selection.waited, selection.stopped = progress["waited"], progress["stopped"]
    if progress["best_step"] is None:
        return
    columns = read_weights(path / "validation.safetensors")
    selection.table = Table(columns, progress["validations"])
    selection.last_step = progress["validated"]
    best = load_weights(path / "best.safetensors", state.params)
    selection.best = (progress["best_value"], best, progress["best_step"])


_PROGRESS: dict[str, tuple[type, ...]] = {
    "first": (int,),
    "done": (int,),
    "epoch": (int,),
    "batch": (int,),
    "seconds": (float,),
    "skipped": (int,),
    "in_a_row": (int, list),
    "validations": (int,),
    "validated": (int, type(None)),
    "best_value": (float, type(None)),
    "best_step": (int, type(None)),
    "waited": (int,),
    "stopped": (bool,),
}


def _progress(path: Path, notes: Mapping[str, Any]) -> dict[str, Any]:
    progress = notes.get("progress")
    if not isinstance(progress, dict):
        raise ValueError(f"{path} holds no progress: it was written by save_checkpoint, not by fit.")
    for name, kinds in _PROGRESS.items():
        if type(progress.get(name)) not in kinds:
            raise ValueError(f"{path} has {progress.get(name)!r} for progress.{name}, expected another type.")
    return progress


def _check_notes(path: Path, found: Any, given: Mapping[str, Any]) -> None:
    found = found if isinstance(found, dict) else {}
    given = json.loads(json.dumps(dict(given)))
    for name in [*given, *(found.keys() - given.keys())]:
        if name not in given or name not in found or found[name] != given[name]:
            there, here = found.get(name, "not set"), given.get(name, "not set")
            raise ValueError(
                f"{name} was {there} in {path}, and is {here} now: give the same, or another folder."
            )


def _is_carry(name: str) -> bool:
    return name == "carry" or name.startswith(("carry.", "carry["))
