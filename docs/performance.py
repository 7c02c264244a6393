"""The page of measurements: tables and pictures made from what the benchmarks wrote, at each build."""

import json
from pathlib import Path
from typing import Any

from seqjax import plot

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"


def write(folder: Path) -> None:
    """Writes the page.

    Args:
      folder: where to.
    """
    folder.mkdir(exist_ok=True)
    parts = [
        "# Performance",
        "What the scripts of `benchmarks/` wrote, with the machine and the date of each. Contenders take "
        "turns in one process; times are the least of the rounds, in milliseconds, compiling apart. A ratio "
        "says how many times as fast as the fastest other library seqjax is; below 1, printed in bold, it is "
        "slower.",
    ]
    for path in sorted(RESULTS.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        parts += PAGES.get(path.stem, _comparison)(document, folder, path.stem)
    for path in sorted(RESULTS.glob("*.txt")):
        text = path.read_text(encoding="utf-8").rstrip()
        parts += [f"## {path.stem.replace('_', ' ')}", f"```text\n{text}\n```"]
    (folder / "index.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _machine(environment: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items() if version)
    place = environment.get("device", "cpu")
    place = f"{environment.get('cpu', '')} CPU" if place == "cpu" else place
    threads = f", {environment['threads']} threads" if "threads" in environment else ""
    return f"{environment['date']}, {place}{threads}; {versions}."


def _comparison(document: dict[str, Any], folder: Path, name: str) -> list[str]:
    """A table of who took how long, and the ratios as a picture."""
    cells = [cell for cell in document["cells"] if cell["ratio"] is not None]
    contenders = list(dict.fromkeys(who.split(",")[0] for cell in cells for who in cell["seconds"]))
    rows = []
    for cell in cells:
        ratio = f"{cell['ratio']:.2f}"
        ratio = ratio if cell["ratio"] >= 1 else f"**{ratio}**"
        rows.append([_label(cell), *(_milliseconds(cell, who) for who in contenders), ratio])
    lost = sum(cell["ratio"] < 1 for cell in cells)
    mean = document["summary"]["all"]["fastest peer"]
    _draw_ratios(cells, folder / f"{name}.png")
    entries = [entry for cell in cells for entry in cell["seconds"].items()]
    notes = {f"- {who}: {entry['note']}." for who, entry in entries if entry["note"]}
    short = [f"- {_label(cell)}: {cell['shortfall']}." for cell in cells if cell.get("shortfall")]
    return [
        f"## {document['title']}",
        f"{_machine(document['environment'])} From `{name}.json`.",
        f"Slower in {lost} of {len(cells)}; {mean:.2f} times as fast in the geometric mean.",
        f"![ratios]({name}.png)",
        _table(["", *contenders, "ratio"], rows),
        "\n".join(sorted(notes)),
        *(["Where it falls short of what was meant:", "\n".join(short)] if short else []),
    ]


def _draw_ratios(cells: list[dict[str, Any]], path: Path) -> None:
    figure, (axes,) = plot.new_figure(size=(8, 0.6 + 0.17 * len(cells)))
    for place, cell in enumerate(reversed(cells)):
        marker, colour = ("o", plot.COLOURS[0]) if cell["ratio"] >= 1 else ("X", plot.COLOURS[1])
        axes.plot([1, cell["ratio"]], [place, place], color="0.7", linewidth=1)
        axes.plot(cell["ratio"], place, marker, color=colour, markersize=5)
    axes.axvline(1, color="0.3", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="x", which="both", labelsize=7)
    axes.set_yticks(range(len(cells)), [_label(cell) for cell in reversed(cells)], fontsize=6)
    axes.set_xlabel("times as fast as the fastest other library (cross: slower)")
    plot.save(figure, path)


def _memory(document: dict[str, Any], folder: Path, name: str) -> list[str]:
    """A table of MiB by kind of cell."""
    steps = sorted({entry["T"] for entry in document["results"]})
    found: dict[tuple[str, str], dict[int, int]] = {}
    for entry in document["results"]:
        found.setdefault((entry["kind"], entry["name"]), {})[entry["T"]] = entry["bytes"]
    rows = [
        [kind, who, *(f"{sizes[num_steps] / 2**20:,.2f}" for num_steps in steps)]
        for (kind, who), sizes in found.items()
    ]
    header = ["", "", *(f"T={num_steps:,}" for num_steps in steps)]
    sizes = ", ".join(f"{axis}={size}" for axis, size in document["sizes"].items())
    return [
        f"## {document['title']}",
        _machine(document["environment"]),
        f"MiB of scratch memory of the value and gradient, {sizes}.",
        _table(header, rows),
    ]


def _compile_time(document: dict[str, Any], folder: Path, name: str) -> list[str]:
    """A table of milliseconds of tracing and compiling."""
    steps = sorted({entry["T"] for entry in document["results"]})
    found: dict[tuple[str, str], dict[int, str]] = {}
    for entry in document["results"]:
        text = f"{1e3 * entry['trace']:.0f} + {1e3 * entry['compile']:.0f}"
        found.setdefault((entry["kind"], entry["name"]), {})[entry["T"]] = text
    rows = [[kind, who, *(times[num_steps] for num_steps in steps)] for (kind, who), times in found.items()]
    return [
        f"## {document['title']}",
        _machine(document["environment"]),
        "Milliseconds of tracing + compiling the value and gradient.",
        _table(["", "", *(f"T={num_steps:,}" for num_steps in steps)], rows),
    ]


def _reliability(document: dict[str, Any], folder: Path, name: str) -> list[str]:
    """What each trial counted."""
    rows = []
    for trial, found in document["results"].items():
        counts = (
            f"{what}: {count}"
            for what, count in found.items()
            if isinstance(count, int) and not isinstance(count, bool)
        )
        rows.append([trial, "; ".join(counts), "passed" if found["passed"] else "**failed**"])
    return [
        "## What does a training survive?",
        _machine(document["environment"]),
        "What each trial does is told in [long runs](../long_runs.md).",
        _table(["trial", "found", ""], rows),
    ]


PAGES = {"memory_cpu": _memory, "compile_time_cpu": _compile_time, "reliability": _reliability}
"""By the name of a file what renders it, where it is no comparison."""


def _label(cell: dict[str, Any]) -> str:
    return " ".join([cell["task"], *(f"{axis}={size:,}" for axis, size in cell["sizes"].items())])


def _milliseconds(cell: dict[str, Any], library: str) -> str:
    times = [
        entry["min"]
        for who, entry in cell["seconds"].items()
        if who.split(",")[0] == library and entry["counts"] and "min" in entry
    ]
    return f"{1e3 * min(times):,.3g}" if times else "–"


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
