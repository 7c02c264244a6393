"""What the benchmark scripts share: contenders that take turns in one process, and agree before they do.

A script calls `start` before it imports jax or numpy, asks `compare` about one cell after the other, and
hands the cells to a `report.Report`. Contenders of a cell take turns, so that a machine that slows down
slows all of them; what a contender compiles is timed apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import importlib
import importlib.metadata
import math
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}
"""Settings of glibc that keep big blocks: they spare every contender most of its page faults."""

BLAS_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def start(description: str, output: str, seconds: float = 1.0) -> argparse.Namespace:
    """Reads the command line and sets up the process; to be called before jax or numpy are imported.

    Args:
      description: the question that the script answers.
      output: the default of `--output`, in which `{device}` stands for the device.
      seconds: the default of `--seconds`.

    Returns:
      `only` (a list of words), `quick`, `output`, `threads`, `malloc`, `seconds`, `device`, `precision` and
      `variants`.
    """
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("--only", nargs="+", default=[], metavar="WORD", help="only cells whose names hold all words")
    add("--quick", action="store_true", help="small sizes and few rounds: to see that all works")
    add("--output", type=Path, help=f"where to write results (default: {output}; with --quick nowhere)")
    add("--device", choices=("cpu", "gpu"), default="cpu", help="where to run (default: cpu)")
    add("--precision", choices=("float32", "tf32"), default="float32", help="of a GPU's products of matrices")
    add("--variants", action="store_true", help="show our backends apart, too; they do not count")
    add("--threads", type=int, help="cores that the process may use (default: all that it has)")
    add("--malloc", choices=("default", "tuned"), default="default", help="tuned keeps big blocks")
    add("--seconds", type=float, default=seconds, help="time that a contender gets in a cell, about")
    options = parser.parse_args()
    if options.malloc == "tuned" and any(os.environ.get(name) != value for name, value in MALLOC.items()):
        # glibc reads its settings when a process starts.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | MALLOC)
    if "jax" in sys.modules or "numpy" in sys.modules:
        raise RuntimeError("harness.start must come before the imports of jax and numpy.")
    cores = sorted(os.sched_getaffinity(0))
    options.threads = len(cores) if options.threads is None else options.threads
    if not 1 <= options.threads <= len(cores):
        parser.error(f"--threads is {options.threads}, expected 1 to {len(cores)}.")
    # The cores that the process may use bound the threads of every contender alike.
    os.sched_setaffinity(0, cores[: options.threads])
    for name in BLAS_THREADS:
        # Products of small matrices are slower with more, and with several one contender was seen to stall.
        os.environ[name] = "1"
    os.environ["JAX_PLATFORMS"] = "cuda" if options.device == "gpu" else "cpu"
    # Others use the GPU in the same process: none may take all of its memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ["JAX_DEFAULT_MATMUL_PRECISION"] = options.precision.replace("tf32", "tensorfloat32")
    if options.output is None and not (options.quick or options.only):
        options.output = Path(output.format(device=options.device))
    return options


def environment(threads: int, packages: Sequence[str]) -> dict[str, Any]:
    """What the figures depend on: machine, versions, threads, settings."""
    versions: dict[str, str | None] = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    import jax

    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": _cpu(),
        "device": jax.devices()[0].device_kind,
        "precision": os.environ.get("JAX_DEFAULT_MATMUL_PRECISION"),
        "threads": threads,
        "memory_gib": round(_memory("MemTotal") / 2**30, 1),
        "python": platform.python_version(),
        "versions": versions,
        "malloc": {name: os.environ.get(name) for name in MALLOC},
        "blas_threads": {name: os.environ.get(name) for name in BLAS_THREADS},
        "xla_flags": os.environ.get("XLA_FLAGS"),
        # Times to compile are those of reading what was compiled before, where there is a cache.
        "compilation_cache": "JAX_COMPILATION_CACHE_DIR" in os.environ,
        "load_before": round(os.getloadavg()[0], 2),
    }


def wanted(only: Sequence[str], task: str, sizes: Mapping[str, int]) -> bool:
    """Whether the name of a cell, such as `lstm forward B=1 H=32`, holds all words that were asked for."""
    return {*task.split(), *(f"{name}={size}" for name, size in sizes.items())}.issuperset(only)


def peer(module: str, mend: str) -> Any:
    """A peer's module; `None` where it cannot be imported, and a line that says why and what would help."""
    try:
        return importlib.import_module(module)
    except Exception as error:  # What an old dependency of a peer raises can be anything.
        message = f"{type(error).__name__}: {error}"
        print(f"{module} is left out, it cannot be imported ({message}): {mend}", file=sys.stderr)
        return None


@dataclasses.dataclass
class Contender:
    """One way to compute a cell.

    Attributes:
      name: who it is; a variant follows a comma (`"hmmlearn, log"`), and the fastest variant counts.
      prepare: does what is timed apart, such as compiling, and returns the function to time. That one
        returns when its result is there.
      answer: what is compared, of what the function returns: arrays by name.
      gigabytes: what it needs, about; it is skipped where that is not free.
      share: which part of the cell's work the function does; its times are divided by it.
      note: what a reader must know of it.
      counts: whether the first contender is compared to it.
    """

    name: str
    prepare: Callable[[], Callable[[], Any]]
    answer: Callable[[Any], Mapping[str, Any]]
    gigabytes: float = 0.0
    share: float = 1.0
    note: str = ""
    counts: bool = True


@dataclasses.dataclass
class Cell:
    """What one comparison gave; the first contender is ours.

    Attributes:
      task: what was computed.
      sizes: on how much, by the name of the axis.
      seconds: by contender `min`, `median`, `rounds`, `compile`, `note` and whether it `counts`.
      skipped: by contender the reason.
      shortfall: where we are slower than we mean to be, by how much and why.
    """

    task: str
    sizes: dict[str, int]
    seconds: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    shortfall: str = ""

    @property
    def label(self) -> str:
        """A name such as `hmm filter K=4 T=10,000`."""
        return " ".join([self.task, *(f"{name}={size:,}" for name, size in self.sizes.items())])

    def best(self, library: str) -> float | None:
        """The least time of the variants of a library that count."""
        return min(
            (
                entry["min"]
                for name, entry in self.seconds.items()
                if _library(name) == library and entry["counts"]
            ),
            default=None,
        )

    def ratio(self, library: str | None = None) -> float | None:
        """How many times as fast as `library`, or as the fastest of all others, the first contender is."""
        names = dict.fromkeys(map(_library, (*self.seconds, *self.skipped)))
        times = {name: self.best(name) for name in names}
        ours = times.pop("seqjax", None)
        theirs = [value for name, value in times.items() if value is not None and library in (None, name)]
        return min(theirs) / ours if ours is not None and theirs else None


def compare(
    task: str,
    sizes: Mapping[str, int],
    contenders: Sequence[Contender],
    *,
    seconds: float,
    tolerances: Mapping[str, float],
    min_rounds: int = 5,
    max_rounds: int = 200,
    patience: float = 30.0,
) -> Cell:
    """Checks that contenders agree, then times them in turn.

    Args:
      task: what is computed.
      sizes: on how much.
      contenders: who computes it, ours first.
      seconds: how long all rounds may take for each contender, about.
      tolerances: how far an answer may be from the first contender's, by its name.
      min_rounds: as many, unless they take more than three times the time; one in any case.
      max_rounds: no more.
      patience: in seconds; who takes longer for its first run does not run again.

    Returns:
      The times, and who was skipped and why.

    Raises:
      ArithmeticError: if two contenders do not agree.
    """
    cell = Cell(task, dict(sizes))
    runs: dict[str, Callable[[], Any]] = {}
    times: dict[str, list[float]] = {}
    expected: dict[str, Any] = {}
    for contender in contenders:
        free = _memory("MemAvailable") / 1e9
        if contender.gigabytes > free - 2:
            needed = f"needs about {contender.gigabytes:.0f} GB, {free:.0f} GB are free"
            cell.skipped[contender.name] = needed
            continue
        begin = time.perf_counter()
        run = contender.prepare()
        prepared = time.perf_counter()
        result = run()
        times[contender.name] = [time.perf_counter() - prepared]
        try:
            _check_agreement(cell, contender.name, contender.answer(result), expected, tolerances)
        except ArithmeticError as error:
            if contender.counts:
                raise
            # Who does not count may be wrong, but is not timed then.
            cell.skipped[contender.name] = str(error)
            del times[contender.name]
            continue
        del result
        runs[contender.name] = run
        cell.seconds[contender.name] = {
            "compile": prepared - begin,
            "note": contender.note,
            "counts": contender.counts,
        }
    # The first run warms up. It stands for who is far slower than another variant of the same library, or
    # would keep all others waiting.
    for name in [name for name in runs if times[name][0] > min(4 * _least(name, times), patience)]:
        del runs[name]
    for name in runs:
        times[name] = []
    _take_turns(runs, times, seconds * max(len(runs), 1), min_rounds, max_rounds)
    shares = {contender.name: contender.share for contender in contenders}
    for name, values in times.items():
        scaled = [value / shares[name] for value in values]
        cell.seconds[name] |= {"min": min(scaled), "median": statistics.median(scaled), "rounds": len(scaled)}
    return cell


def _take_turns(
    runs: Mapping[str, Callable[[], Any]],
    times: dict[str, list[float]],
    seconds: float,
    min_rounds: int,
    max_rounds: int,
) -> None:
    """Rounds in which each contender runs once, in an order drawn anew.

    Threads of one may still be waiting for work while the next runs (those of torch do), and a fixed order
    would always do that to the same one.
    """
    order, draw = list(runs), random.Random(0)
    gc.collect()
    gc.disable()
    begin = time.perf_counter()
    try:
        for number in range(max_rounds):
            next_end = (time.perf_counter() - begin) * (number + 1) / max(number, 1)
            if number and next_end > (seconds if number >= min_rounds else 3 * seconds):
                break
            draw.shuffle(order)
            for name in order:
                start_time = time.perf_counter()
                result = runs[name]()
                times[name].append(time.perf_counter() - start_time)
                del result
    finally:
        gc.enable()


def _check_agreement(
    cell: Cell,
    name: str,
    answer: Mapping[str, Any],
    expected: dict[str, Any],
    tolerances: Mapping[str, float],
) -> None:
    """Compares an answer to the first one, or keeps it as the first."""
    import numpy as np

    for key, value in answer.items():
        value = np.asarray(value, float)
        reference = expected.setdefault(key, value)
        error = float(np.max(np.abs(value - reference))) if value.shape == reference.shape else math.inf
        if not error <= tolerances[key]:
            raise ArithmeticError(
                f"{name} gives another {key} in {cell.label}: off by {error:.3g}, allowed "
                f"{tolerances[key]:.3g}; shape {value.shape} against {reference.shape}."
            )


def _library(name: str) -> str:
    return name.split(",")[0]


def _least(name: str, times: Mapping[str, Sequence[float]]) -> float:
    """The least time of the variants of one library."""
    return min(values[0] for other, values in times.items() if _library(other) == _library(name))


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory(name: str) -> int:
    """A figure of the kernel's, in bytes; a great one where there is none."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(name + ":"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    return 2**50
