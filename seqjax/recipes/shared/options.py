"""The options that recipes share, and a command line made from a recipe's dataclass of options."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import typing
from collections.abc import Callable
from typing import Any

import jax

import seqjax as sj
from seqjax.cell import Cell

CELLS: dict[str, Callable[[int], Cell]] = {
    "elman": sj.elman,
    "elman_sigmoid": functools.partial(sj.elman, activation=jax.nn.sigmoid),
    "irnn": sj.irnn,
    "lstm": sj.lstm,
    "lstm_1997": functools.partial(sj.lstm, forget_gate=False),
    "lstm_coupled": functools.partial(sj.lstm, coupled=True),
    "lstm_norm": functools.partial(sj.lstm, layer_norm=True),
    "lstm_peepholes": functools.partial(sj.lstm, peepholes=True),
    "gru": sj.gru,
    "gru_reset_before": functools.partial(sj.gru, reset_after=False),
    "minimal_gated_unit": sj.minimal_gated_unit,
    "slstm": sj.slstm,
    "lru": sj.lru,
    "min_gru": sj.min_gru,
    "min_lstm": sj.min_lstm,
    "qrnn": sj.qrnn,
    "rg_lru": sj.rg_lru,
    "s5": sj.s5,
    "sru": sj.sru,
    "mlstm": sj.mlstm,
    "mamba2": sj.mamba2,
    "gated_delta_net": sj.gated_delta_net,
}
"""Cells by the name that `--cell` takes: functions of the hidden size."""

METHODS = ("auto", "scan", "fused", "associative", "chunkwise", "checkpointed")


def option(default: Any, text: str, choices: Any = None) -> Any:
    """A field of a dataclass of options: its default, its help and, if they are few, its values.

    Args:
      default: the value where none is given.
      text: the line that `--help` prints.
      choices: the values that are allowed; `None` for any of the type.

    Returns:
      A dataclass field.

    Example:
      >>> @dataclasses.dataclass(frozen=True)
      ... class Options:
      ...     cell: str = option("lstm", "which cell", CELLS)
      >>> Options().cell
      'lstm'
    """
    return dataclasses.field(default=default, metadata={"help": text, "choices": choices})


def add_arguments(parser: argparse.ArgumentParser, options: type) -> None:
    """Adds one argument for each field of a dataclass made with `option`; one that is `False` is a flag.

    Args:
      parser: the parser to add to.
      options: the dataclass.

    Example:
      >>> @dataclasses.dataclass(frozen=True)
      ... class Options:
      ...     hidden_size: int = option(64, "units")
      >>> parser = argparse.ArgumentParser()
      >>> add_arguments(parser, Options)
      >>> parser.parse_args(["--hidden-size", "8"]).hidden_size
      8
    """
    types = typing.get_type_hints(options)
    for field in dataclasses.fields(options):
        kind = next((t for t in typing.get_args(types[field.name]) if t is not type(None)), types[field.name])
        name, text = "--" + field.name.replace("_", "-"), field.metadata["help"]
        if kind is bool:
            parser.add_argument(name, action="store_true", help=text)
            continue
        shown = "" if field.default is None else f" (default: {field.default})"
        choices = field.metadata["choices"]
        parser.add_argument(
            name,
            type=kind,
            default=field.default,
            choices=None if choices is None else sorted(choices),
            help=text + shown,
        )


def read_options(options: type, values: dict[str, Any]) -> Any:
    """Options from a dictionary that JSON held, checked: the file may have been changed by anyone.

    Args:
      options: the dataclass.
      values: its fields.

    Returns:
      An instance of `options`.

    Raises:
      ValueError: if a field is missing, unknown, of another type, or not one of its choices.

    Example:
      >>> @dataclasses.dataclass(frozen=True)
      ... class Options:
      ...     hidden_size: int = option(64, "units")
      >>> read_options(Options, {"hidden_size": "64"})
      Traceback (most recent call last):
      ValueError: options.hidden_size is '64', expected a value of type int.
    """
    fields = {field.name: field for field in dataclasses.fields(options)}
    if not isinstance(values, dict) or values.keys() != fields.keys():
        given = sorted(values) if isinstance(values, dict) else values
        raise ValueError(f"options is {given!r}, expected the fields {', '.join(fields)}.")
    types = typing.get_type_hints(options)
    for name, value in values.items():
        allowed = typing.get_args(types[name]) or (types[name],)
        if type(value) not in allowed:
            names = " or ".join(kind.__name__ for kind in allowed)
            raise ValueError(f"options.{name} is {value!r}, expected a value of type {names}.")
        choices = fields[name].metadata["choices"]
        if choices is not None and value not in choices:
            raise ValueError(f"options.{name} is {value!r}, expected one of {', '.join(sorted(choices))}.")
    return options(**values)


def cells_of(text: str) -> list[str]:
    """Names of cells from a text that parts them by commas.

    Args:
      text: such as `"lstm,gru"`.

    Returns:
      The names.

    Raises:
      ValueError: if one is no cell, or stands there twice.

    Example:
      >>> cells_of("lstm, gru")
      ['lstm', 'gru']
    """
    cells = _parted(text)
    if not set(cells) <= CELLS.keys() or len(set(cells)) < len(cells):
        raise ValueError(
            f"cells is {text!r}, expected some of {', '.join(CELLS)}, parted by commas, each once."
        )
    return cells


def lengths_of(text: str) -> list[int]:
    """Lengths from a text that parts them by commas.

    Args:
      text: such as `"50,150"`.

    Returns:
      The lengths.

    Raises:
      ValueError: if one is no positive integer, or stands there twice.

    Example:
      >>> lengths_of("50,150")
      [50, 150]
    """
    words = _parted(text)
    if not all(word.isdecimal() and int(word) > 0 for word in words) or len(set(words)) < len(words):
        raise ValueError(f"lengths is {text!r}, expected positive integers parted by commas, each once.")
    return [int(word) for word in words]


def _parted(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]
