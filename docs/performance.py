"""The page of measurements: tables and pictures made from what the benchmarks wrote, at each build."""

import itertools
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
        page = next((page for name, page in PAGES.items() if path.stem.startswith(name)), _comparison)
        parts += page(document, folder, path.stem)
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
    from matplotlib.ticker import LogLocator, NullLocator

    figure, (axes,) = plot.new_figure(size=(8, 0.6 + 0.17 * len(cells)))
    for place, cell in enumerate(reversed(cells)):
        marker, colour = ("o", plot.COLOURS[0]) if cell["ratio"] >= 1 else ("X", plot.COLOURS[1])
        axes.plot([1, cell["ratio"]], [place, place], color="0.7", linewidth=1)
        axes.plot(cell["ratio"], place, marker, color=colour, markersize=5)
    axes.axvline(1, color="0.3", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", labelsize=7)
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


def _linear_recurrence(document: dict[str, Any], folder: Path, name: str) -> list[str]:
    """A table of milliseconds, and of shares of the bandwidth of a copy."""
    rows = []
    for entry in document["results"]:
        shape = ", ".join(f"{size:,}" for size in entry["shape"])
        times = (
            cell
            for what in ("forward", "gradient")
            for cell in (_number(1e3 * entry[what]), f"{entry[f'{what}_share']:.0%}")
        )
        rows.append([f"{entry['name']} ({shape}), {entry['form']}", *times])
    copied = document["environment"]["copy_bytes_per_second"] / 1e9
    return [
        f"## {document['title']}",
        f"{_machine(document['environment'])} From `{name}.json`.",
        f"Milliseconds, and the share of the {copied:,.0f} GB/s at which memory is copied, for (T, B, H).",
        _table(["", "forward", "of copying", "value and gradient", "of copying"], rows),
    ]


def _chaos(document: dict[str, Any], folder: Path, name: str) -> list[str]:
    """A table of misfits after so many iterations."""
    rows = [
        [
            f"T={entry['T']}, {entry['form']}",
            *(f"{misfit:.0e}" for misfit in entry["misfits"]),
            str(entry["converged after"] or "not in 2,000"),
        ]
        for entry in document["results"]
    ]
    return [
        f"## {document['title']}",
        f"{_machine(document['environment'])} From `{name}.json`.",
        f"The largest Lyapunov exponent is {document['exponent']:.2f}. Misfits after so many iterations, "
        "relative to the one at first; 1 where nothing is gained.",
        _table(["", *map(str, document["looks"]), "converged after"], rows),
    ]


def _scaling(document: dict[str, Any], folder: Path, name: str) -> list[str]:
    """For each kind of cell seconds over each axis as a picture, and microseconds a step as a table."""
    base = document["environment"]["base"]
    sizes = ", ".join(f"{axis}={size:,}" for axis, size in base.items())
    parts = [
        f"## {document['title']}",
        f"{_machine(document['environment'])} From `{name}.json`.",
        f"One axis at a time from {sizes}. Tables hold microseconds a step; pictures seconds a run. A run of "
        "more than two seconds was timed once.",
    ]
    for kind in dict.fromkeys(cell["task"].split()[0] for cell in document["cells"]):
        cells = [cell for cell in document["cells"] if cell["task"].split()[0] == kind]
        _draw_growth(cells, base, folder / f"{name}_{kind}.png")
        everyone = list(dict.fromkeys(who for cell in cells for who in (*cell["seconds"], *cell["skipped"])))
        rows = [[_label(cell), *(_microseconds(cell, who) for who in everyone)] for cell in cells]
        left_out = [
            f"- {_label(cell)}, {who}: {reason}." for cell in cells for who, reason in cell["skipped"].items()
        ]
        parts += [f"### {kind}", f"![seconds over T, B and H]({name}_{kind}.png)"]
        parts += [_table(["", *everyone], rows), *(["Left out:", "\n".join(left_out)] if left_out else [])]
    return parts


def _draw_growth(cells: list[dict[str, Any]], base: dict[str, int], path: Path) -> None:
    from matplotlib.ticker import NullLocator

    everyone = list(dict.fromkeys(who for cell in cells for who in cell["seconds"]))
    directions = list(dict.fromkeys(cell["task"].split()[1] for cell in cells))
    # A run of some cells may have a single size along an axis.
    axes_of_shape = [axis for axis in base if len({cell["sizes"][axis] for cell in cells}) > 1] or ["T"]
    shape = len(directions), len(axes_of_shape)
    figure, places = plot.new_figure(*shape, size=(9, 2.5 * shape[0]), sharex="col", sharey="row")
    for place, (direction, axis) in zip(places, itertools.product(directions, axes_of_shape), strict=True):
        for number, who in enumerate(everyone):
            points = sorted(
                (cell["sizes"][axis], cell["seconds"][who]["min"])
                for cell in cells
                if cell["task"].endswith(direction)
                and who in cell["seconds"]
                and cell["sizes"] == base | {axis: cell["sizes"][axis]}
            )
            place.plot(
                *zip(*points, strict=True) if points else ([], []),
                color=plot.COLOURS[number],
                linestyle=plot.LINES[number],
                marker=plot.MARKERS[number],
                markersize=4,
                label=who,
            )
        place.set_xscale("log")
        place.set_yscale("log")
        values = sorted({cell["sizes"][axis] for cell in cells})
        place.set_xticks(values, [f"{value:,}" for value in values], fontsize=7)
        place.xaxis.set_minor_locator(NullLocator())
        if axis == axes_of_shape[0]:
            place.set_ylabel(f"{direction}: seconds a run")
        if direction == directions[-1]:
            place.set_xlabel(axis)
    handles, labels = places[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper right", ncols=len(labels), frameon=False, fontsize="small"
    )
    plot.save(figure, path)


PAGES = {
    "chaos": _chaos,
    "memory": _memory,
    "compile_time": _compile_time,
    "reliability": _reliability,
    "linear_recurrence": _linear_recurrence,
    "scaling": _scaling,
}
"""By how the name of a file begins what renders it, where it is no comparison."""


def _label(cell: dict[str, Any]) -> str:
    return " ".join([cell["task"], *(f"{axis}={size:,}" for axis, size in cell["sizes"].items())])


def _milliseconds(cell: dict[str, Any], library: str) -> str:
    times = [
        entry["min"]
        for who, entry in cell["seconds"].items()
        if who.split(",")[0] == library and entry["counts"] and "min" in entry
    ]
    return _number(1e3 * min(times)) if times else "–"


def _microseconds(cell: dict[str, Any], who: str) -> str:
    """A step's, of one contender."""
    if who not in cell["seconds"]:
        return "–"
    return _number(1e6 * cell["seconds"][who]["min"] / cell["sizes"]["T"])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
