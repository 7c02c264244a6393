"""Numerical checks of a cell or a layer that someone has written: are its gradients those of its values?"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax.backends import associative
from seqjax.cell import Affine, Cell, Gated, LinearAttention
from seqjax.checks import check_key, check_size
from seqjax.layers import Layer, as_layer
from seqjax.ops.naming import place_name
from seqjax.types import Array, Key, PyTree
from seqjax.unroll import Backend, unroll

STEP = 1e-5
"""Of central differences: its square, and the rounding error over it, are both near 1e-11 in float64."""
SPREAD = 0.3
"""Standard deviation of what is added to new params, so that none is zero by chance of how it starts."""

Run = Callable[[list[Any]], tuple[Array, list[Array]]]
"""From all arrays that can be moved to a number and its gradient."""

METHODS: dict[type, dict[str, Any]] = {
    Gated: {"fused": "fused"},
    Affine: {"associative": functools.partial(associative, method="associative")},
    LinearAttention: {"chunkwise": "chunkwise"},
}


@struct.dataclass
class GradientReport:
    """What was compared, and how far apart it was: relative to the larger of one and the size of both.

    Attributes:
      gradients: by the name of an array, such as `params.recurrent_kernel`, `carry.cell` or `xs`: the
        derivative along a random direction by autodiff and by central differences.
      methods: by the name of a backend: its values and gradients and those of `scan`.
      steps: the unroll and repeated steps; `None` for a layer without a step.
    """

    gradients: dict[str, float]
    methods: dict[str, float]
    steps: float | None


def check_gradients(
    part: Cell | Layer,
    input_size: int,
    *,
    key: Key | None = None,
    xs: Any = None,
    num_steps: int = 4,
    batch_size: int = 2,
    tolerance: float = 1e-6,
    methods: Sequence[str | Backend] | None = None,
) -> GradientReport:
    """Whether the gradients of a cell or a layer are those of its values, in every way to run it.

    All is done in float64, whatever the caller's dtype, with new params moved by random numbers, random
    inputs, a random carry, and a row that is shorter than the others. Three things are compared: the gradient
    by autodiff with central differences, array by array; of a cell each backend that takes its structure with
    `scan`, values and gradients (a gate that is not `additive` as it said, or mixes rows or steps, is found
    here); and an unroll with repeated steps.

    Args:
      part: a cell or a layer.
      input_size: `D`.
      key: what params, inputs and directions are drawn from; `None` for `jax.random.key(0)`.
      xs: inputs `[T, B, D]` to take instead of random ones: for layers that read tokens, `[T, B]` integers.
      num_steps: `T`.
      batch_size: `B`.
      tolerance: of the comparison with differences. Backends may differ by `tolerance * 1e-4`.
      methods: the backends to compare with `scan`, in place of those of the structure.

    Returns:
      A `GradientReport`, if all is well.

    Raises:
      ValueError: if something differs by more than allowed, or is not finite; it names the array or backend.
      TypeError: if `part` is neither a cell nor a layer, or a size is not an integer.

    Example:
      >>> import seqjax as sj
      >>> def gate(_, x_part, h_part, h):
      ...     update, candidate = jnp.moveaxis(x_part + h_part, -2, 0)
      ...     return jax.nn.sigmoid(update) * h + jnp.tanh(candidate)
      >>> cell = sj.gated_cell(2, gates=("update", "candidate"), gate=gate, additive=True)
      >>> report = check_gradients(cell, 3, methods=["fused"])
      >>> sorted(report.gradients)[:2], report.methods["fused"] < 1e-10
      (['carry', 'params.bias'], True)
    """
    layer = as_layer(part, "part")
    for name, size in {"input_size": input_size, "num_steps": num_steps, "batch_size": batch_size}.items():
        check_size(name, size)
    if key is not None:
        check_key(key)
    with jax.enable_x64(True):
        key = jax.random.key(0) if key is None else key
        generator = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
        shape = num_steps, batch_size, input_size
        params = _moved(jax.jit(layer.init, static_argnums=1)(key, input_size), generator)
        given = generator.normal(size=shape) if xs is None else np.asarray(xs)
        inputs = given.astype(float) if np.issubdtype(given.dtype, np.floating) else given
        carry = _moved(
            jax.jit(lambda params: layer.initial_carry(params, inputs.shape[1:2]))(params), generator
        )
        arguments = {"params": params, "carry": carry, "xs": inputs}
        runs = _Runs(layer, part if isinstance(part, Cell) else None, arguments)
        by_scan = runs.compiled("scan")
        report = GradientReport(
            gradients=runs.differences(by_scan, generator),
            methods={} if runs.cell is None else runs.methods(by_scan, methods),
            steps=None if layer.step is None else _steps(layer, arguments),
        )
    _refuse(report, tolerance)
    return report


def _moved(tree: PyTree, generator: np.random.Generator) -> PyTree:
    """Each floating leaf with random numbers added."""

    def move(leaf: Any) -> np.ndarray:
        leaf = np.asarray(leaf)
        if not _is_inexact(leaf):
            return leaf
        return leaf + (SPREAD * _normal(generator, leaf)).astype(leaf.dtype)

    return jax.tree.map(move, tree)


def _normal(generator: np.random.Generator, like: Any) -> np.ndarray:
    drawn = generator.normal(size=np.shape(like))
    return drawn + 1j * generator.normal(size=np.shape(like)) if np.iscomplexobj(like) else drawn


def _is_inexact(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


class _Runs(NamedTuple):
    """What is run, and on what."""

    layer: Layer
    cell: Cell | None
    arguments: dict[str, Any]

    def compiled(self, method: Any) -> Run:
        """A number that every element of the result moves differently, and its gradient."""
        leaves, structure = jax.tree.flatten(self.arguments)
        num_steps, num_rows = self.arguments["xs"].shape[:2]
        lengths: Any = np.full(num_rows, num_steps)
        lengths[-1] = max(1, num_steps - 1)

        def scalar(parts: list[Array]) -> Array:
            moving = iter(parts)
            whole = [next(moving) if _is_inexact(leaf) else leaf for leaf in leaves]
            given = jax.tree.unflatten(structure, whole)
            params, xs, carry = given["params"], given["xs"], given["carry"]
            if self.cell is None:
                result = self.layer.unroll(params, xs, carry=carry, lengths=lengths)
            else:
                result = unroll(self.cell, params, xs, carry=carry, lengths=lengths, method=method)
            waves = [jnp.sin(leaf + i) for i, leaf in enumerate(jax.tree.leaves(result))]
            return sum((jnp.sum(jnp.real(wave) + jnp.imag(wave)) for wave in waves), start=jnp.zeros(()))

        return jax.jit(jax.value_and_grad(scalar))

    def moving(self) -> dict[str, np.ndarray]:
        """The arrays that can be moved, by name."""
        leaves = jax.tree_util.tree_leaves_with_path(self.arguments)
        return {place_name(path): leaf for path, leaf in leaves if _is_inexact(leaf)}

    def differences(self, run: Run, generator: np.random.Generator) -> dict[str, float]:
        """How far autodiff is from central differences, along a random direction of each array."""
        named = self.moving()
        parts = list(named.values())
        _, gradients = run(parts)
        found = {}
        for place, name in enumerate(named):
            direction = _normal(generator, parts[place])
            ends = []
            for sign in (1, -1):
                moved = list(parts)
                moved[place] = parts[place] + sign * STEP * direction
                ends.append(run(moved)[0])
            slope = np.real(np.sum(np.asarray(gradients[place]) * direction))
            found[name] = _apart(slope, (ends[0] - ends[1]) / (2 * STEP))
        return found

    def methods(self, by_scan: Run, methods: Sequence[str | Backend] | None) -> dict[str, float]:
        """How far each backend is from `scan`, in values and gradients."""
        structure = type(cast(Cell, self.cell).structure)
        if methods is None:
            chosen = {**METHODS.get(structure, {}), "checkpointed": "checkpointed"}
        else:
            chosen = {_method_name(method): method for method in methods}
        parts = list(self.moving().values())
        reference = by_scan(parts)
        return {name: _farthest(self.compiled(method)(parts), reference) for name, method in chosen.items()}


def _method_name(method: str | Backend) -> str:
    return method if isinstance(method, str) else getattr(method, "__name__", repr(method))


def _steps(layer: Layer, arguments: Any) -> float:
    """How far an unroll is from repeated steps."""
    params, xs, carry = arguments["params"], arguments["xs"], arguments["carry"]
    wanted = jax.jit(layer.unroll)(params, xs, carry=carry)
    step, ys = jax.jit(cast(Callable, layer.step)), []
    for x in xs:
        carry, y = step(params, carry, x)
        ys.append(y)
    return _farthest((carry, jnp.stack(ys)), wanted)


def _farthest(got: PyTree, wanted: PyTree) -> float:
    return max(jax.tree.leaves(jax.tree.map(_apart, got, wanted)), default=0.0)


def _apart(a: Any, b: Any) -> float:
    """The largest difference, relative to the largest number of both; infinite where one is no number."""
    a, b = np.asarray(a), np.asarray(b)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    scale = max(1.0, np.max(np.abs(a), initial=0.0), np.max(np.abs(b), initial=0.0))
    return float(np.max(np.abs(a - b), initial=0.0) / scale)


def _refuse(report: GradientReport, tolerance: float) -> None:
    """Raises an error that names the worst of what differs."""
    for name, apart in sorted(report.gradients.items(), key=lambda item: -item[1]):
        if apart > tolerance:
            raise ValueError(
                f"part has a gradient with respect to {name} that differs from central differences by "
                f"{apart:.2g}, expected at most {tolerance:.2g}: look at its custom gradients, its "
                f"stop_gradient and at kinks of its activations."
            )
    allowed = tolerance * 1e-4
    for name, apart in sorted(report.methods.items(), key=lambda item: -item[1]):
        if apart > allowed:
            raise ValueError(
                f"part gives with method {name!r} what differs from 'scan' by {apart:.2g}, expected at most "
                f"{allowed:.2g}: its structure does not say what its step does. See the promises of "
                f"seqjax.Gated and of gated_cell's additive."
            )
    if report.steps is not None and report.steps > allowed:
        raise ValueError(
            f"part has an unroll that differs from its repeated step by {report.steps:.2g}, expected at most "
            f"{allowed:.2g}: both must do the same in evaluation."
        )
