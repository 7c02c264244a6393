"""The reference: a page for each public module, with every public name, none twice and none undocumented."""

import inspect
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from sphinx.errors import ExtensionError

import seqjax
from seqjax import (
    backends,
    data,
    decoding,
    diagnostics,
    interop,
    layers,
    memoryless,
    ops,
    plot,
    tasks,
    training,
)
from seqjax.data import synthetic
from seqjax.layers import attention
from seqjax.memoryless import ar
from seqjax.statespace import hmm, lds
from seqjax.tasks import heads

PAGES: dict[str, tuple[ModuleType, str]] = {
    "seqjax": (
        seqjax,
        "Cells, their transformations, and the unroll over time; the layers by their first names.",
    ),
    "seqjax.backends": (backends, "How a cell runs over time."),
    "seqjax.layers": (layers, "What runs over a whole sequence."),
    "seqjax.layers.attention": (attention, "What a decoder reads of what an encoder wrote."),
    "seqjax.memoryless": (memoryless, "Models with delay taps."),
    "seqjax.memoryless.ar": (ar, "Linear autoregression in closed form."),
    "seqjax.hmm": (hmm, "Hidden Markov models."),
    "seqjax.lds": (lds, "Linear dynamical systems and the Kalman filter; nonlinear ones."),
    "seqjax.tasks": (tasks, "The five shapes of problems."),
    "seqjax.heads": (heads, "From outputs to a loss and a prediction."),
    "seqjax.training": (training, "States, steps, a loop, weights in files."),
    "seqjax.training.online": (training.online, "Learning from streams, forward in time."),
    "seqjax.plot": (plot, "Pictures of what recurrent models do; the gallery shows them."),
    "seqjax.diagnostics": (diagnostics, "What a recurrent network does, measured."),
    "seqjax.decoding": (decoding, "From a trained task to sequences."),
    "seqjax.interop": (interop, "Weights from and to other frameworks."),
    "seqjax.interop.torch": (interop.torch, "Weights from and to torch."),
    "seqjax.interop.keras": (interop.keras, "Weights from and to keras."),
    "seqjax.interop.flax": (interop.flax, "Weights from and to flax, linen and nnx."),
    "seqjax.data": (data, "Data sets, vocabularies, batches."),
    "seqjax.data.synthetic": (synthetic, "Problems of the literature that are made up as they are needed."),
    "seqjax.ops": (ops, "What the rest is made of."),
}


def write(folder: Path) -> None:
    """Writes the pages.

    Args:
      folder: where to.

    Raises:
      ExtensionError: if a public name has no docstring, or a public module no page.
    """
    folder.mkdir(exist_ok=True)
    described: dict[int, str] = {}
    bare, known = [], {id(module) for module, _ in PAGES.values()}
    for name, (module, line) in PAGES.items():
        parts = [f"# {name}", line]
        for public in sorted(public_names(module), key=str.lower):
            value, path = getattr(module, public), f"{name}.{public}"
            if inspect.ismodule(value):
                bare += [] if id(value) in known else [f"{path} (a module without a page)"]
                continue
            if callable(value) and id(value) in described:
                parts.append(f"`{public}` is [{described[id(value)]}](#{described[id(value)]}).")
                continue
            if callable(value):
                described[id(value)] = path
                if not (value.__doc__ or "").strip():
                    bare.append(path)
            parts.append(f"```{{eval-rst}}\n{_directive(path, value)}\n```")
        (folder / f"{name}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    if bare:
        raise ExtensionError(f"public and not documented: {', '.join(bare)}.")
    listing = "\n".join(PAGES)
    (folder / "index.md").write_text(
        f"# Reference\n\nEvery public name.\n\n```{{toctree}}\n:maxdepth: 1\n\n{listing}\n```\n",
        encoding="utf-8",
    )


def public_names(module: ModuleType) -> list[str]:
    """What a module exports: its `__all__`, or what it defines under a public name."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]


def _directive(path: str, value: object) -> str:
    if not callable(value):
        # Of a table of names autodoc would print the docstring of `dict`.
        entries = value if isinstance(value, Iterable) else (value,)
        return f".. data:: {path}\n\n   {', '.join(f'`{entry}`' for entry in entries)}"
    return f".. {'autoclass' if inspect.isclass(value) else 'autofunction'}:: {path}"
