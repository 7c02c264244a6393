"""A table of the parameters of a layer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from seqjax.cell import Cell
from seqjax.layers.layer import Layer
from seqjax.layers.recurrent import as_layer
from seqjax.types import Params, PyTree

TITLES = ("layer", "type", "parameter", "shape", "dtype", "count", "bytes")
NUMBERS = ("count", "bytes")
"""The columns that are aligned to the right."""


def summary(layer: Layer | Cell, params: Params) -> str:
    """A table of the parameters of a layer: where they are, their shapes, their number and their size.

    Each layer within the layer has its own line or lines, named by the expression that reads its params. The
    last lines give the totals, and the size of the carry: what one sequence hands from step to step.

    Args:
      layer: a layer or a cell.
      params: its params, arrays or the shapes that `jax.eval_shape` gives.

    Returns:
      The table, as plain text without a final newline.

    Raises:
      TypeError: if `layer` is neither a layer nor a cell.

    Example:
      >>> import seqjax as sj
      >>> print(summary(sj.elman(4), sj.elman(4).init(jax.random.key(0), 3)))
      layer   type         parameter         shape      dtype    count  bytes
      -----------------------------------------------------------------------
      params  GatedParams  input_kernel      [3, 1, 4]  float32     12     48
                           recurrent_kernel  [4, 1, 4]  float32     16     64
                           bias              [1, 4]     float32      4     16
                           initial_carry     [4]        float32      4     16
      -----------------------------------------------------------------------
      total                                                         36    144
      carry                                                          4     16
    """
    carry = jax.eval_shape(as_layer(layer).initial_carry, params)
    rows = [row for path, owner in _owners("params", params) for row in _rows(path, owner)]
    totals = [(name, "", "", "", "", *_sizes(tree)) for name, tree in (("total", params), ("carry", carry))]
    return _table(rows, totals)


def _owners(path: str, params: Params) -> Iterator[tuple[str, Params]]:
    """The layers within params, each with the expression that reads it, outermost first.

    By the library's conventions, the params of one layer have a type named `...Params`, and those of several
    are a tuple.
    """
    if type(params) is tuple and params and _is_layer(params):
        for index, part in enumerate(params):
            yield from _owners(f"{path}[{index}]", part)
        return
    fields = _fields(params)
    inner = {name: value for name, value in fields.items() if _is_layer(value) and value != ()}
    if not inner or len(inner) < len(fields):
        yield path, params
    for name, value in inner.items():
        yield from _owners(f"{path}.{name}", value)


def _is_layer(value: Any) -> bool:
    if type(value) is tuple:
        # A map between the carries of stacks has empty parts too, and no layers.
        held = [part for part in value if type(part) is not tuple or part]
        return not held or any(map(_is_layer, held))
    return type(value).__name__.endswith("Params")


def _fields(params: Params) -> dict[str, Any]:
    if not dataclasses.is_dataclass(params):
        return {}
    return {field.name: getattr(params, field.name) for field in dataclasses.fields(params)}


def _rows(path: str, params: Params) -> Iterator[tuple[str, ...]]:
    """One row for each array that a layer holds itself, the first of which names it."""
    own = {name: value for name, value in _fields(params).items() if not _is_layer(value)} or {"": params}
    names = path, "" if params == () else type(params).__name__
    if not jax.tree.leaves(own):
        yield *names, "none", "", "", *_sizes(())
    for field, value in own.items():
        for key_path, leaf in jax.tree_util.tree_leaves_with_path(value):
            parameter = field + jax.tree_util.keystr(key_path)
            yield *names, parameter, str(list(leaf.shape)), str(leaf.dtype), *_sizes(leaf)
            names = "", ""


def _sizes(tree: PyTree) -> tuple[str, str]:
    """The number of values, and of bytes."""
    leaves = jax.tree.leaves(tree)
    counts = [math.prod(leaf.shape) for leaf in leaves]
    sizes = [count * np.dtype(leaf.dtype).itemsize for count, leaf in zip(counts, leaves, strict=True)]
    return f"{sum(counts):,}", f"{sum(sizes):,}"


def _table(rows: Sequence[tuple[str, ...]], totals: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(TITLES, *rows, *totals, strict=True)]

    def line(row: tuple[str, ...]) -> str:
        cells = zip(TITLES, row, widths, strict=True)
        return "  ".join(
            text.rjust(width) if title in NUMBERS else text.ljust(width) for title, text, width in cells
        )

    rule = "-" * len(line(TITLES))
    return "\n".join([line(TITLES), rule, *map(line, rows), rule, *map(line, totals)])
