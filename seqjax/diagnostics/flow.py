"""How much of a loss's gradient reaches each step of each recurrent layer of a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from seqjax.checks import check_function
from seqjax.ops.naming import place_name
from seqjax.types import Array, Batch, Carry, Key, Params, PyTree, Shifted

Loss = Callable[..., tuple[Array, Any]]
"""`(params, batch, *, carry=None, key=None) -> (loss, aux)`, such as `task.loss`."""


@struct.dataclass
class LayerFlow:
    """What reaches the steps of one recurrent layer, row by row.

    Attributes:
      carry: the norm of `dE / d carry_k`, with the structure of the carry, leaves `[T, *B]`: the memory and
        the hidden vector of an LSTM each by itself.
      output: the norm of `dE / d y_k`, `[T, *B]`: what the layers above tell this step, without what comes
        back from later steps.
    """

    carry: Carry
    output: Array


@struct.dataclass
class GradientFlow:
    """Where a gradient gets to.

    Attributes:
      loss: `E`, a scalar.
      layers: a `LayerFlow` for each recurrent layer, by its place in the params, such as `network[0]`.
      params: the norm of `dE / d theta` of each parameter, by its place.
    """

    loss: Array
    layers: dict[str, LayerFlow]
    params: dict[str, Array]


def gradient_flow(
    loss: Loss,
    params: Params,
    batch: Batch,
    *,
    carry: Carry | None = None,
    key: Key | None = None,
    cells: Callable[[Params], Any] | None = None,
) -> GradientFlow:
    """The norm of `dE / d h_k` for every step `k` of every recurrent layer.

    Each recurrent layer is run by a cell to whose carry and output zeros are added at each step
    (`seqjax.transforms`' `shifted`); the gradient with respect to those zeros is what reaches the step. So it
    is the gradient that training follows, through whatever the network is made of, of any backend.

    `dE / d carry_k` counts all ways from the carry after step `k`: the output of step `k`, and all later
    steps. The leaves of a carry count as apart: what reaches an LSTM's memory through the hidden vector of
    the same step counts as the hidden vector's. Of a cell without structure the output of step `k` itself is
    not part of its carry's gradient. Padding has zeros. With the mean over a batch for its loss, each row has
    its share.

    It is compiled once for a loss and shapes: pass the same `task.loss`, and not a new function, each time.

    Args:
      loss: `(params, batch, *, carry=None, key=None) -> (loss, aux)`, such as `task.loss`.
      params: all params, as `task.init` made them.
      batch: what `loss` reads.
      carry: passed on to `loss` if given.
      key: passed on to `loss` if given: the noise of training.
      cells: `(params) -> params of cells`, a list, tuple or dict of those to look at; `None` for all, known
        by their field `initial_carry`.

    Returns:
      A `GradientFlow`.

    Raises:
      ValueError: if no params are those of a cell, or a cell's are not run over time exactly once. A decoder
        with input feeding runs step by step, and is refused.
      TypeError: if `loss` or `cells` is no function.

    Example:
      >>> import seqjax as sj
      >>> from seqjax.tasks import heads, many_to_one
      >>> task = many_to_one(sj.lstm(2), heads.gaussian(1, scale=1.0))
      >>> params = task.init(jax.random.key(0), 1)
      >>> flow = gradient_flow(task.loss, params, Batch(jnp.ones((4, 2, 1)), jnp.zeros((2, 1))))
      >>> reached = flow.layers["network"]
      >>> reached.carry.cell.shape, (reached.output[:, 0] > 0).tolist()  # the head reads the last step alone
      ((4, 2), [False, False, False, True])
    """
    check_function("loss", loss, "a function such as task.loss")
    is_cell = _chosen(params, cells)
    nodes, structure = jax.tree_util.tree_flatten_with_path(params, is_leaf=is_cell)
    places = {place_name(path): index for index, (path, node) in enumerate(nodes) if is_cell(node)}
    if not places:
        raise ValueError(
            "params hold no params of a cell, which are known by a field initial_carry: pass "
            "cells=lambda params: [params.network], or where they are."
        )
    given = {"carry": carry, "key": key}
    given = {name: value for name, value in given.items() if value is not None}
    network = _Network(loss, structure, tuple(places.items()))
    shifts = _zeros(lambda params, shifts: network.run(params, shifts, batch, given), params, list(places))
    return _flow(network, params, shifts, batch, given)


class _Network(NamedTuple):
    """A loss, and where in its params those of cells are."""

    loss: Loss
    structure: Any
    places: tuple[tuple[str, int], ...]

    def run(self, params: Params, shifts: dict[str, Shifted], batch: Batch, given: dict[str, Any]) -> Array:
        """The loss with these shifts, each of which is given the params of its cell."""
        parts = self.structure.flatten_up_to(params)
        for name, index in self.places:
            if name in shifts:
                parts[index] = shifts[name].replace(params=parts[index])
        return self.loss(jax.tree.unflatten(self.structure, parts), batch, **given)[0]


@partial(jax.jit, static_argnums=0)
def _flow(
    network: _Network, params: Params, shifts: dict[str, Shifted], batch: Batch, given: dict[str, Any]
) -> GradientFlow:
    value, (gradients, reached) = jax.value_and_grad(network.run, (0, 1))(params, shifts, batch, given)
    layers = {}
    for name, shift in reached.items():
        axes = shift.outputs.ndim - 1
        norms = jax.tree.map(lambda leaf, axes=axes: _row_norms(leaf, axes), shift.carries)
        layers[name] = LayerFlow(carry=norms, output=_row_norms(shift.outputs, axes))
    return GradientFlow(loss=value, layers=layers, params=parameter_norms(gradients))


def _chosen(params: Params, cells: Callable[[Params], Any] | None) -> Callable[[Any], bool]:
    """Whether a part of the params are those of a cell that is asked for."""
    if cells is None:
        return lambda node: (
            "initial_carry" in node if isinstance(node, dict) else hasattr(node, "initial_carry")
        )
    check_function("cells", cells)
    chosen = cells(params)
    wanted = list(chosen.values()) if isinstance(chosen, dict) else list(chosen)
    return lambda node: any(node is one for one in wanted)


def _zeros(
    run: Callable[[Params, dict[str, Shifted]], Array], params: Params, names: list[str]
) -> dict[str, Shifted]:
    """Shifts of zero for each cell, of the shapes that a run without any has seen."""
    found: dict[str, Shifted] = {}

    def seeing(name: str) -> Callable[[int, Carry, Array], None]:
        def seen(num_steps: int, carry: Carry, ys: Array) -> None:
            if name in found:
                raise ValueError(
                    f"params.{name} are run over time more than once, so that steps have no one gradient: "
                    f"leave them out with cells=lambda params: [...]."
                )
            shapes = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct((num_steps, *leaf.shape), leaf.dtype), carry
            )
            found[name] = Shifted(None, carries=shapes, outputs=jax.ShapeDtypeStruct(ys.shape, ys.dtype))

        return seen

    def look() -> None:
        found.clear()
        shifts = {name: Shifted(None, seen=seeing(name)) for name in names}
        jax.eval_shape(lambda params: run(params, shifts), params)

    look()
    if any(shift.outputs.shape[0] == 1 for shift in found.values()):
        # A decoder may run one step at a time, in a loop whose body is traced once: here it is run.
        with jax.disable_jit():
            look()
    for name in names:
        if name not in found:
            raise ValueError(
                f"params.{name} are run over time nowhere in the loss: leave them out with "
                f"cells=lambda params: [...]."
            )
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), found)


def _row_norms(leaf: Array, num_axes: int) -> Array:
    """The norm over all but the leading axes."""
    squares = jnp.real(leaf) ** 2 + jnp.imag(leaf) ** 2
    return jnp.sqrt(jnp.sum(squares, tuple(range(num_axes, leaf.ndim))))


def parameter_norms(gradients: PyTree) -> dict[str, Array]:
    """The norm of each array of a pytree, by its name.

    Args:
      gradients: gradients, updates or params; any pytree of arrays.

    Returns:
      Scalars by names such as `network[0].recurrent_kernel`.

    Example:
      >>> parameter_norms({"kernel": jnp.array([3.0, 4.0]), "bias": jnp.zeros(2)})["kernel"].item()
      5.0
    """
    leaves = jax.tree_util.tree_leaves_with_path(gradients)
    return {place_name(path): _row_norms(leaf, 0) for path, leaf in leaves}


def record_norms() -> optax.GradientTransformation:
    """An optimizer that changes nothing and keeps the norm of each parameter's gradient in its state.

    Put it where it should measure: `optax.chain(record_norms(), optax.clip_by_global_norm(1.0), adam)`
    keeps the norms before clipping in `state.opt_state[0]`, `{name: []}`, where a callback of
    `seqjax.training.fit` finds those of each step.

    Returns:
      A transformation of optax.

    Example:
      >>> optimizer = optax.chain(record_norms(), optax.sgd(0.1))
      >>> params = {"bias": jnp.zeros(2)}
      >>> _, state = optimizer.update({"bias": jnp.array([3.0, 4.0])}, optimizer.init(params))
      >>> state[0]["bias"].item()
      5.0
    """

    def init(params: Params) -> dict[str, Array]:
        return parameter_norms(jax.tree.map(jnp.zeros_like, params))

    def update(updates: PyTree, state: PyTree, params: Params = None) -> tuple[PyTree, dict[str, Array]]:
        del state, params
        return updates, parameter_norms(updates)

    return optax.GradientTransformation(init, update)
