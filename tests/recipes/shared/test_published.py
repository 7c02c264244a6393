"""Figures of papers name what a recipe can be told, and stand beside runs that were told it."""

import dataclasses
import importlib

import pytest

from seqjax.recipes import RECIPES
from seqjax.recipes.material.memory_problems import PROBLEMS
from seqjax.recipes.shared.options import CELLS
from seqjax.recipes.shared.published import PUBLISHED, print_published, published

PER_NETWORK = {"length", "cell"}
"""What the recipe `memory` is told as a list."""


@pytest.mark.parametrize("recipe", sorted({figure.recipe for figure in PUBLISHED}))
def test_conditions_are_options_of_the_recipe(recipe):
    assert recipe in RECIPES
    options = importlib.import_module(f"seqjax.recipes.{recipe}").Options
    names = {field.name for field in dataclasses.fields(options)}
    for figure in PUBLISHED:
        if figure.recipe == recipe:
            assert figure.when.keys() <= names | (PER_NETWORK if recipe == "memory" else set())
            assert figure.when.get("cell", "lstm") in CELLS
            assert figure.when.get("task", "adding") in PROBLEMS


def test_a_figure_stands_beside_what_it_is_a_figure_of_and_nothing_else(capsys):
    given = {"every": 4, "cell": "gru", "hidden_size": 9}
    assert [figure.value for figure in published("chorales", **given)] == [8.43, 8.71, 6.27]
    assert [figure.model for figure in published("chorales", **given | {"cell": "lru"})] == ["RNN", "RNN-RBM"]
    assert published("chorales", every=1, cell="gru") == []
    assert published("memory", task="adding", length=601, cell="gru") == []
    assert published("memory", task="copying", length=600, cell="gru") == []
    assert published("nile") == []
    print_published(published("language_model", cell="min_gru"))
    shown = capsys.readouterr().out
    assert "minGRU 2.233 bits a character" in shown
    assert "1.548 nats; another text" in shown
