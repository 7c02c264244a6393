"""Does training survive? Kills, bit flips, cuts, a long run: counted, with tiny models.

    python benchmarks/reliability.py --output benchmarks/results/reliability.json

Every trial is drawn from a seed. A trial that fails is printed, and the script then ends with status 1.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import multiprocessing
import os
import platform
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

QUICK = {"kills": 5, "flips": 30, "cuts": 3, "soak_steps": 20_000, "lengths": 50}
FULL = {"kills": 200, "flips": 1000, "cuts": 50, "soak_steps": 1_000_000, "lengths": 1000}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="where to write the results as JSON")
    parser.add_argument("--quick", action="store_true", help="few trials: does all work?")
    parser.add_argument("--only", nargs="*", help=", ".join(TRIALS))
    parser.add_argument("--soak-steps", type=int, help="how many steps the long run has")
    parsed = parser.parse_args()
    counts = dict(QUICK if parsed.quick else FULL)
    if parsed.soak_steps:
        counts["soak_steps"] = parsed.soak_steps
    results: dict[str, Any] = {}
    for name, (trial, count) in TRIALS.items():
        if parsed.only and name not in parsed.only:
            continue
        begun, cpu = time.perf_counter(), cpu_seconds()
        results[name] = trial(counts[count])
        results[name] |= {"wall_s": time.perf_counter() - begun, "cpu_s": cpu_seconds() - cpu}
        print(name, json.dumps(results[name]), flush=True)
    if parsed.output:
        content = {"environment": environment(), "results": results}
        if parsed.only and parsed.output.is_file():  # the others stay as they were found
            before = json.loads(parsed.output.read_text(encoding="utf-8"))
            content = before | {"results": before["results"] | results}
        parsed.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0 if all(result["passed"] for result in results.values()) else 1


def kills(count: int) -> dict[str, Any]:
    """A process is killed with SIGKILL amid a save; then a whole checkpoint must be found and loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["orbax.checkpoint", "seqjax.training"])
    generator = np.random.default_rng(0)
    loaded, newer, waits = 0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        path, like = Path(folder), state_of(0)
        save(path, 0)
        for number in range(count):
            before = newest_step(path)
            receiving, sending = context.Pipe(duplex=False)
            process = context.Process(target=save_for_ever, args=(path, before, sending))
            process.start()
            seconds = receiving.recv()  # how long the save before took; the next has just begun
            waits.append(float(generator.uniform(0, 1.2 * seconds)))
            time.sleep(waits[-1])
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            try:
                found = load(path, like)
                same = int(found.state["step"]) == found.step and (found.state["w"] == found.step).all()
                loaded += bool(same and found.step >= before)
                newer += found.step > before + 1
            except Exception as error:
                print(f"kill {number} after {waits[-1]:.4f} s: {error}")
    return {
        "trials": count,
        "a whole checkpoint loaded": loaded,
        "the save that was hit was finished": newer,
        "mean wait s": float(np.mean(waits)),
        "passed": loaded == count,
    }


def save_for_ever(path: Path, step: int, sending: Any) -> None:
    """The process that is killed: it saves once, tells how long that took, and goes on saving."""
    begun = time.perf_counter()
    save(path, step + 1)
    sending.send(time.perf_counter() - begun)
    for following in range(step + 2, step + 100):
        save(path, following)


def state_of(step: int) -> dict[str, Any]:
    return {"w": np.full((64, 64), step, np.float32), "step": np.int32(step)}


def save(path: Path, step: int) -> None:
    from seqjax.training import save_checkpoint
    from seqjax.training.checkpoints.store import prune

    save_checkpoint(path, state_of(step), step=step, weights={"best": state_of(step)})
    prune(path, 2, [])


def newest_step(path: Path) -> int:
    from seqjax.training import newest_checkpoint

    return int(newest_checkpoint(path).name)


def load(path: Path, like: Any) -> Any:
    from seqjax.training import load_checkpoint

    return load_checkpoint(path, like)


def flips(count: int) -> dict[str, Any]:
    """One bit of one file is turned, every bit of the checkpoint as likely; it must be passed over."""
    from seqjax.training import newest_checkpoint

    generator, detected = np.random.default_rng(1), 0
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder)
        save(path, 1)
        save(path, 2)
        files = sorted(file for file in (path / "0000000002").rglob("*") if file.is_file())
        sizes = np.array([file.stat().st_size for file in files])
        for _ in range(count):
            bit = int(generator.integers(8 * sizes.sum()))
            place = int(np.searchsorted(np.cumsum(8 * sizes), bit, side="right"))
            bit -= int(8 * sizes[:place].sum())
            turn(files[place], bit)
            detected += newest_checkpoint(path).name == "0000000001"
            turn(files[place], bit)
        whole = newest_checkpoint(path).name == "0000000002"
    return {
        "trials": count,
        "bits": int(8 * sizes.sum()),
        "detected": detected,
        "passed": whole and detected == count,
    }


def turn(file: Path, bit: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(bit // 8)
        byte = opened.read(1)[0]
        opened.seek(bit // 8)
        opened.write(bytes([byte ^ 1 << bit % 8]))


def cuts(count: int) -> dict[str, Any]:
    """A training cut off after a random step, resumed, and compared to one that was not: every bit."""
    import jax

    from seqjax import training

    network = small_network()
    options = {"steps": 24, "validate": network.validate, "validate_every": 5, "log_every": 4}
    whole = training.fit(network.state(), network.step, network.batches, **options)
    generator, equal = np.random.default_rng(2), 0
    for number in range(count):
        cut, every = int(generator.integers(1, 24)), int(generator.integers(1, 8))
        with tempfile.TemporaryDirectory() as folder:
            settings = training.Checkpoints(folder, every=every, seconds=None)

            def callback(state: Any, metrics: Any, cut: int = cut) -> None:
                if int(state.step) == cut:
                    raise EOFError

            again = functools.partial(
                training.fit, step=network.step, batches=network.batches, checkpoints=settings, **options
            )
            with contextlib.suppress(EOFError):
                again(network.state(), callback=callback)
            result = again(network.state())
        pairs = [(result.state.replace(key=None), whole.state.replace(key=None)), (result.best, whole.best)]
        for kind in ("history", "validation"):
            columns = [dict(getattr(run, kind)) for run in (result, whole)]
            pairs.append(tuple({k: v for k, v in c.items() if k != "seconds"} for c in columns))
        same = all(
            jax.tree.all(jax.tree.map(lambda a, b: np.asarray(a).tobytes() == np.asarray(b).tobytes(), *pair))
            for pair in pairs
        )
        equal += same
        if not same:
            print(f"cut {number} after step {cut}, checkpoints every {every}: differs")
    return {"trials": count, "equal in every bit": equal, "passed": equal == count}


class small_network:
    """An LSTM with dropout, its carry handed on, its batches in another order each epoch."""

    def __init__(self) -> None:
        import jax
        import optax

        import seqjax as sj
        from seqjax import training

        self._task = sj.tasks.synced(
            sj.stack(sj.embed(11, 4), sj.lstm(8), sj.dropout(0.2)), sj.heads.categorical(11)
        )
        optimizer = optax.chain(
            optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(1e-2, 24))
        )
        self.step = training.make_step(self._task.loss, optimizer, carry_over=True)
        init = jax.jit(lambda key: training.init_state(key, self._task, optimizer, 1))
        self.state = lambda: init(jax.random.key(0))
        tokens = np.random.default_rng(3).integers(0, 11, 7 * 4 * 6 + 1)
        self._chunks = list(sj.data.chunks(tokens, 4, 6))
        evaluate = training.make_evaluation(self._task.loss)
        self.validate = lambda params: evaluate(params, self._chunks[:2])

    def batches(self, epoch: int) -> list:
        return [self._chunks[place] for place in np.random.default_rng(epoch).permutation(len(self._chunks))]


def soak(count: int) -> dict[str, Any]:
    """Many steps of `fit`, with history, validation and checkpoints: memory after each twentieth of them."""
    import jax
    import optax

    import seqjax as sj
    from seqjax import training

    task, optimizer = sj.tasks.synced(sj.elman(2), sj.heads.gaussian(1)), optax.sgd(1e-3)
    generator = np.random.default_rng(5)
    batch = sj.Batch(*(generator.normal(size=(2, 1, 1)).astype(np.float32) for _ in range(2)))
    batch = jax.device_put(batch)
    evaluate = training.make_evaluation(task.loss)
    state = jax.jit(lambda key: training.init_state(key, task, optimizer, 1))(jax.random.key(0))
    resident: dict[int, int] = {}
    length = max(count // 20, 1)

    def batches(epoch: int) -> Any:
        if epoch:
            resident[epoch * length] = memory()
        return itertools.repeat(batch, length)

    with tempfile.TemporaryDirectory() as folder:
        result = training.fit(
            state,
            training.make_step(task.loss, optimizer),
            batches,
            steps=count + 1,
            validate=lambda params: evaluate(params, batch),
            checkpoints=training.Checkpoints(folder, every=length, seconds=None),
        )
        files = training.newest_checkpoint(folder).rglob("*")
        checkpoint = sum(file.stat().st_size for file in files if file.is_file())
    first, last = 2 * length, max(resident)  # history is as long as it gets, and checkpoints were written
    growth = {steps: resident[steps] / resident[first] - 1 for steps in resident if steps >= first}
    return {
        "steps": count,
        "steps kept in history": len(result.history["step"]),
        "bytes of the last checkpoint": checkpoint,
        "bytes of memory after a tenth": resident[first],
        "bytes of memory at the end": resident[last],
        "resident bytes": resident,
        "growth": growth[last],
        "largest growth": max(growth.values()),
        "passed": last == count and max(growth.values()) < 0.01,
    }


def lengths(count: int) -> dict[str, Any]:
    """Sequences of random lengths in batches: how many shapes there are to compile."""
    import jax

    import seqjax as sj
    from seqjax.data import Batches

    generator = np.random.default_rng(4)
    sizes = generator.integers(1, 400, count)
    rows = [generator.normal(size=(int(size), 2)).astype(np.float32) for size in sizes]
    cell = sj.elman(3)
    params = cell.init(jax.random.key(0), 2)
    run = jax.jit(lambda params, xs, lengths: sj.unroll(cell, params, xs, lengths=lengths)[1].sum())
    for batch in Batches(rows, batch_size=8, epochs=1):
        run(params, batch.inputs, batch.lengths).block_until_ready()
    compiled = run._cache_size()
    return {"lengths": len({len(row) for row in rows}), "compiled": compiled, "passed": compiled <= 8}


def memory() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def environment() -> dict[str, Any]:
    import importlib.metadata

    names = ("jax", "orbax-checkpoint", "safetensors", "numpy", "optax")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {"date": time.strftime("%Y-%m-%d"), "python": platform.python_version(), "versions": versions}


TRIALS: dict[str, tuple[Callable[[int], dict[str, Any]], str]] = {
    "kills": (kills, "kills"),
    "flips": (flips, "flips"),
    "cuts": (cuts, "cuts"),
    "lengths": (lengths, "lengths"),
    "soak": (soak, "soak_steps"),
}

if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    sys.exit(main())
