"""The command line: `python -m seqjax list | train | predict | translate | generate | notebooks`."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from seqjax.recipes import RECIPES


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
      arguments: what follows `python -m seqjax`; `None` for the process's own.

    Returns:
      The exit status: 0, 1 where a file, an archive or a training was the problem, 2 where an argument was,
      and 128 and the signal's number where one came, such as 130 where the user interrupted.

    Example:
      >>> main(["list"])  # doctest: +ELLIPSIS
      sentiment    what people feel about what they write: tweets or movie reviews, many to one
      nile         the flow of the Nile, 1871 to 1970: a local level by the Kalman filter, and its forecast
      ...
      0
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        parsed = _parser(arguments).parse_args(arguments)
        return parsed.run(parsed)
    except KeyboardInterrupt as error:
        saved = f"seqjax: {error} Add --resume." if hasattr(error, "signal") else "interrupted"
        print(f"\n{saved}", file=sys.stderr)
        return 128 + getattr(error, "signal", signal.SIGINT)
    except (FloatingPointError, ImportError, OSError, RuntimeError, ValueError) as error:
        if type(error) is ImportError or _is_ours(error):
            print(f"seqjax: {error}", file=sys.stderr)
            return 2 if isinstance(error, ValueError) else 1
        raise


def _is_ours(error: Exception) -> bool:
    """Whether the message was written for the user: raised by this package, not from deep inside another."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("seqjax")


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m seqjax", description="Sequence models for JAX.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="name the recipes")
    listing.set_defaults(run=_list)

    training = commands.add_parser("train", help="run a recipe: train RECIPE --help names its options")
    recipes = training.add_subparsers(required=True, metavar="RECIPE")
    for name, line in RECIPES.items():
        recipe = recipes.add_parser(name, help=line, description=line)
        recipe.set_defaults(run=_train, recipe=name)
        # Only the recipe that runs is imported, so that `list` answers at once.
        if "train" in arguments and name in arguments:
            from seqjax.recipes.shared.options import add_arguments

            add_arguments(recipe, _module(name).Options)
            folder = f"runs/{name}"
            recipe.add_argument(
                "--run-dir", type=Path, default=Path(folder), help=f"where to save (default: {folder})"
            )
            recipe.add_argument(
                "--resume", action="store_true", help="go on with a training that was stopped, if any"
            )

    for name, line in (("predict", "answer with a trained run"), ("translate", "translate with one")):
        answering = commands.add_parser(name, help=line)
        answering.add_argument("run_dir", metavar="RUN", type=Path, help="the folder that train printed")
        answering.add_argument("texts", metavar="TEXT", nargs="+", help="what to answer about")
        answering.set_defaults(run=_answer, function=name)

    generating = commands.add_parser("generate", help="write with a trained run, as it comes")
    generating.add_argument("run_dir", metavar="RUN", type=Path, help="the folder that train printed")
    generating.add_argument("--prompt", default="", help="what to go on from")
    generating.add_argument("--num-steps", type=int, help="how much to write at most")
    generating.add_argument("--temperature", type=float, help="of the draws; 0 for the most probable")
    generating.add_argument("--top-k", type=int, help="draw from so many of the most probable")
    generating.add_argument("--top-p", type=float, help="draw from the most probable of this probability")
    generating.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    generating.set_defaults(run=_generate)

    copying = commands.add_parser("notebooks", help="copy the chapters of the course into a folder")
    copying.add_argument("folder", metavar="FOLDER", type=Path, help="where to, made if it is not there")
    copying.set_defaults(run=_notebooks)
    return parser


def _module(recipe: str) -> ModuleType:
    return importlib.import_module(f"seqjax.recipes.{recipe}")


def _of_run(run_dir: Path, name: str) -> Callable:
    """The function of that name in the module of a run's recipe."""
    from seqjax.recipes.shared.runs import read_run

    recipe = read_run(run_dir)["recipe"]
    if recipe not in RECIPES:
        raise ValueError(f"run is {run_dir}, of the unknown recipe {recipe!r}.")
    module = _module(recipe)
    if not hasattr(module, name):
        others = [other for other in ("predict", "translate", "generate") if hasattr(module, other)]
        hint = f"try {others[0]}" if others else f"what it found is in {run_dir / 'report.md'}"
        raise ValueError(
            f"run is {run_dir}, of the recipe {recipe!r}, which has nothing to {name} with: {hint}."
        )
    return getattr(module, name)


def _list(parsed: argparse.Namespace) -> int:
    width = max(map(len, RECIPES))
    for name, line in RECIPES.items():
        print(f"{name:{width}}  {line}")
    return 0


def _train(parsed: argparse.Namespace) -> int:
    from seqjax.recipes.shared.runs import is_to_train, reported

    module = _module(parsed.recipe)
    names = [field.name for field in dataclasses.fields(module.Options)]
    options = module.Options(**{name: getattr(parsed, name) for name in names})
    if not is_to_train(parsed.run_dir, options, resume=parsed.resume):
        print(
            f"{parsed.run_dir} holds a finished run with these options: train without --resume to repeat it."
        )
        return 0
    with reported(parsed.run_dir, parsed.recipe, RECIPES[parsed.recipe], options):
        module.train(options, parsed.run_dir)
    return 0


def _answer(parsed: argparse.Namespace) -> int:
    for line in _of_run(parsed.run_dir, parsed.function)(parsed.run_dir, parsed.texts):
        print(line)
    return 0


def _generate(parsed: argparse.Namespace) -> int:
    generate = _of_run(parsed.run_dir, "generate")
    names = ("num_steps", "temperature", "top_k", "top_p")
    given = {name: getattr(parsed, name) for name in names if getattr(parsed, name) is not None}
    for piece in generate(parsed.run_dir, parsed.prompt, seed=parsed.seed, **given):
        print(piece, end="", flush=True)
    print()
    return 0


def _notebooks(parsed: argparse.Namespace) -> int:
    from seqjax.recipes.shared.chapters import copy_chapters

    for path in copy_chapters(parsed.folder):
        print(path)
    print(f"\ntry:   jupyter lab {parsed.folder}, after pip install jupyterlab")
    return 0


if __name__ == "__main__":
    sys.exit(main())
