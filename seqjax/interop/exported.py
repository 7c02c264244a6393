"""Compiled programs in a file, for machines without this library: `jax.export`, any batch and any time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
from jax import export

from seqjax.files import write_whole
from seqjax.types import Array, PyTree


def save_exported(
    path: str | os.PathLike,
    function: Callable[..., PyTree],
    arguments: Sequence[PyTree],
    shapes: Sequence[Any] | None = None,
    platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
) -> None:
    """Writes a function, such as an unroll or a training step, as one program for several platforms.

    Args:
      path: the file, which is replaced if it is there.
      function: of pytrees of arrays; what it closes over becomes part of the program.
      arguments: examples, of which dtypes and fixed sizes are taken.
      shapes: for each argument `None`, where all its sizes are fixed, or a string such as `"T, B, ..."` that
        names the first axes of its leaves, which may then have any size: the same for the same name.
      platforms: which of `cpu`, `cuda`, `rocm` and `tpu` it is to run on.

    Raises:
      ImportError: if the package flatbuffers is missing; the message names the extra.
      ValueError: if `shapes` are not as many as arguments, or the function cannot be compiled for any size.
      OSError: if the file cannot be written.

    Example:
      >>> import tempfile, numpy as np
      >>> path = Path(tempfile.mkdtemp()) / "double"
      >>> save_exported(path, lambda xs: 2 * xs, [np.ones((3, 1))], ["T, ..."], platforms=["cpu"])
      >>> load_exported(path)(np.ones((2, 1)))[0].tolist()
      [[2.0], [2.0]]
    """
    _check_flatbuffers()
    shapes = [None] * len(arguments) if shapes is None else list(shapes)
    if len(shapes) != len(arguments):
        raise ValueError(
            f"shapes has {len(shapes)} entries, expected one for each of {len(arguments)} arguments."
        )
    treedef = jax.tree.structure(list(arguments))
    leaves = [jax.tree.leaves(argument) for argument in arguments]
    named = [shape or "..." for shape, part in zip(shapes, leaves, strict=True) for _ in part]
    specs = export.symbolic_args_specs(tuple(leaf for part in leaves for leaf in part), tuple(named))

    # Of flat arrays, because a file cannot know the classes that pytrees are made of.
    def flat(*leaves: Array) -> list[Array]:
        return jax.tree.leaves(function(*jax.tree.unflatten(treedef, leaves)))

    content = export.export(jax.jit(flat), platforms=list(platforms))(*specs).serialize()
    write_whole(path, content)


def load_exported(path: str | os.PathLike) -> Callable[..., list[Array]]:
    """Reads what `save_exported` wrote. Run only files that you trust: a program is a program.

    Args:
      path: the file.

    Returns:
      A function of the same arguments as was saved, or of pytrees with the same leaves in the same order. It
      returns the leaves of what that returned, in order.

    Raises:
      FileNotFoundError: if there is no such file.
      ImportError: if the package flatbuffers is missing; the message names the extra.

    Example:
      >>> load_exported("no-such-file")
      Traceback (most recent call last):
      FileNotFoundError: path is no-such-file, where there is no file: give a file that save_exported wrote.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"path is {path}, where there is no file: give a file that save_exported wrote."
        )
    _check_flatbuffers()
    program = export.deserialize(bytearray(path.read_bytes()))

    def call(*arguments: PyTree) -> list[Array]:
        return program.call(*jax.tree.leaves(list(arguments)))

    return call


def _check_flatbuffers() -> None:
    if find_spec("flatbuffers") is None:
        raise ImportError(
            'programs are written with flatbuffers, which is missing: pip install "seqjax[export]".'
        )
