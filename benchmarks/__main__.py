"""Runs a few cells of every benchmark, each script in a process of its own: `python -m benchmarks`.

    python -m benchmarks [--device gpu]

On two CPU cores it takes under ten minutes, and writes nothing: `benchmarks/README.md` says what writes the
results. `--device gpu` runs what a GPU is for, whole, and writes its results.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent

QUICK = (
    ("cells.py", "--only", "B=8", "--seconds", "0.5"),
    ("layers.py", "--only", "lstm", "ragged", "--seconds", "0.3"),
    ("scaling.py", "--only", "gru", "forward", "B"),
    ("training.py", "--only", "gru", "H=32", "--seconds", "0.3"),
    ("linear_recurrence.py", "--shapes", "float32"),
    ("statespace.py", "--only", "hmm", "K=16", "T=10000", "B=1", "--seconds", "0.5"),
    ("statespace.py", "--only", "lds", "N=4", "B=1", "--seconds", "0.5"),
    ("parallel_in_time.py", "--only", "new", "B=1", "T=1000", "H=4", "--seconds", "0.5"),
    ("memory.py", "--only", "lstm"),
    ("compile_time.py", "--only", "lstm"),
)
GPU = (
    ("cells.py", "--device", "gpu", "--seconds", "0.2"),
    ("layers.py", "--device", "gpu", "--seconds", "0.2"),
    ("scaling.py", "--device", "gpu"),
    ("training.py", "--device", "gpu", "--seconds", "0.2"),
    ("linear_recurrence.py", "--device", "gpu"),
    ("parallel_in_time.py", "--device", "gpu", "--seconds", "0.2"),
    ("memory.py", "--device", "gpu"),
)


def main() -> None:
    """Runs the set of a device, and says which scripts failed."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where to run (default: cpu)")
    runs = {"cpu": QUICK, "gpu": GPU}[parser.parse_args().device]
    failed, begin = [], time.monotonic()
    for number, (script, *arguments) in enumerate(runs, 1):
        minutes = (time.monotonic() - begin) / 60
        print(f"\n[{number} of {len(runs)}, {minutes:.1f} min] {script} {' '.join(arguments)}\n", flush=True)
        done = subprocess.run([sys.executable, str(FOLDER / script), *arguments], check=False)
        failed += [script] * (done.returncode != 0)
    print(f"\n{len(runs) - len(failed)} of {len(runs)} in {(time.monotonic() - begin) / 60:.1f} min")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
