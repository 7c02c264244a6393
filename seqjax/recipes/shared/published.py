"""Figures of papers that recipes print beside their own, and what was different there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Published(NamedTuple):
    """One figure.

    Attributes:
      recipe: the recipe that tries the same.
      when: what the recipe has to be told for that, by the name of the option.
      model: what the paper calls the model.
      value: the figure.
      unit: what it is a number of.
      source: the paper, and where in it.
      setting: how it was had, as far as that differs from the recipe.
    """

    recipe: str
    when: Mapping[str, Any]
    model: str
    value: float
    unit: str
    source: str
    setting: str


def _bai(
    recipe: str, when: Mapping[str, Any], values: tuple[float, float, float], unit: str, setting: str
) -> list[Published]:
    """A row of table 1 of Bai et al. (2018), whose columns are LSTM, GRU and RNN."""
    setting += "; tuned by a grid search"
    cells = zip(("lstm", "gru", "elman"), ("LSTM", "GRU", "RNN"), values, strict=True)
    source = "Bai et al., 2018, table 1"
    return [
        Published(recipe, {**when, "cell": cell}, model, value, unit, source, setting)
        for cell, model, value in cells
    ]


def _feng(cell: str, model: str, nats: float) -> Published:
    """A loss of section 4.2 of Feng et al. (2024), in bits."""
    setting = f"{nats} nats; another text, of 1.1 million characters, and blocks of several layers"
    source = "Feng et al., 2024, figure 2"
    return Published(
        "language_model", {"cell": cell}, model, nats / math.log(2), "bits a character", source, setting
    )


_QUARTERS = "another split of the pieces"
_LEWANDOWSKI = "Boulanger-Lewandowski et al., 2012, table 1"

PUBLISHED = (
    *_bai(
        "memory",
        {"task": "adding", "length": 600},
        (0.164, 5.3e-5, 0.177),
        "mean squared error",
        "70,000 parameters",
    ),
    *_bai(
        "memory",
        {"task": "copying", "length": 1000},
        (0.0204, 0.0197, 0.0202),
        "nats a step",
        "16,000 parameters",
    ),
    *_bai(
        "digits",
        {"pixels": True},
        (87.2, 96.2, 21.5),
        "% right",
        "70,000 parameters; 10 epochs over 60,000 digits, held out 10,000 others",
    ),
    Published(
        "digits",
        {"pixels": True, "cell": "irnn"},
        "IRNN",
        93.0,
        "% right",
        "Keras, examples/mnist_irnn.py, after Le et al., 2015",
        "100 hidden units; 900 epochs over 60,000 digits, held out 10,000 others",
    ),
    _feng("min_gru", "minGRU", 1.548),
    _feng("min_lstm", "minLSTM", 1.555),
    *_bai("chorales", {"every": 4}, (8.45, 8.43, 8.91), "nats a step", f"300,000 parameters; {_QUARTERS}"),
    Published("chorales", {"every": 4}, "RNN", 8.71, "nats a step", _LEWANDOWSKI, _QUARTERS),
    Published("chorales", {"every": 4}, "RNN-RBM", 6.27, "nats a step", _LEWANDOWSKI, _QUARTERS),
)
"""Every figure; `docs/evidence.md` has the command for each."""


def published(recipe: str, **given: Any) -> list[Published]:
    """The figures that a run of a recipe may stand beside.

    Args:
      recipe: its name.
      **given: what it is told, by the name of the option.

    Returns:
      The figures all of whose conditions hold.

    Example:
      >>> [figure.value for figure in published("digits", pixels=True, cell="gru")]
      [96.2]
      >>> published("digits", pixels=False, cell="gru")
      []
    """
    return [
        figure
        for figure in PUBLISHED
        if figure.recipe == recipe and all(given.get(name) == value for name, value in figure.when.items())
    ]


def print_published(figures: Iterable[Published]) -> None:
    """Prints a line a figure: what it is, whose, and what was different there.

    Args:
      figures: what `published` gave.

    Example:
      >>> print_published(published("memory", task="adding", length=600, cell="lstm"))
      published: LSTM 0.164 mean squared error (Bai et al., 2018, table 1)
          there: 70,000 parameters; tuned by a grid search
    """
    for figure in figures:
        print(f"published: {figure.model} {figure.value:.4g} {figure.unit} ({figure.source})")
        print(f"    there: {figure.setting}")
