"""One runnable experiment a file, short enough to fork; `python -m seqjax` runs them by name."""

RECIPES = {"sentiment": "what people feel about what they write: tweets or movie reviews, many to one"}
"""Recipes by name, a line each. The module `seqjax.recipes.NAME` holds `Options`, `train` and `predict`."""

__all__ = ["RECIPES"]
