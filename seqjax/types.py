"""The words every module shares: arrays, keys, the axis alphabet, a batch of sequences.

Axes are named by one letter each, here and in every docstring of the library:

| letter | axis |
| --- | --- |
| `T` | time, always the first axis of a sequence |
| `*B` | any number of batch axes, none included |
| `D` | input features |
| `H` | hidden features |
| `G` | gates |
| `K` | discrete states or classes |
| `N` | continuous states |
| `M` | observed features |
| `V` | vocabulary |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
from flax import struct

Array: TypeAlias = jax.Array
Key: TypeAlias = jax.Array
"""A typed random key, as `jax.random.key` makes it."""
PyTree: TypeAlias = Any
Params: TypeAlias = Any
"""A pytree of arrays that training changes."""
Carry: TypeAlias = Any
"""A pytree of arrays, each `[*B, ...]`, that one step hands to the next."""


@struct.dataclass
class Batch:
    """A batch of sequences with what they should be turned into.

    Attributes:
      inputs: `[T, *B, D]` features, or `[T, *B]` integer tokens.
      targets: what the task predicts: `[*B]` labels for one target a sequence, `[T, *B, ...]` for
        one a step.
      lengths: `[*B]` integers, the valid steps of each input; `None` where all have `T`.
      target_lengths: `[*B]` integers, the valid steps of each target where targets have a time
        axis of their own; `None` where they share the inputs'.
      resets: `[T, *B]` booleans, true where a new sequence starts within a row; `None` for never.
      weights: one weight an example `[*B]`, or one a step `[T, *B]`; `None` weighs all alike.
    """

    inputs: Any
    targets: Any = None
    lengths: Any = None
    target_lengths: Any = None
    resets: Any = None
    weights: Any = None


@struct.dataclass
class Shifted:
    """Params of a cell together with shifts that `unroll` adds to what the cell makes of them.

    They travel inside the params of a whole network, so that a loss can be differentiated with respect to
    what happens within it (`seqjax.diagnostics.gradient_flow`). Elsewhere they are read like the params.

    Attributes:
      params: the params of a cell.
      carries: what is added to the carry, leaves `[T, *B, ...]`; `None` for nothing.
      outputs: what is added to the outputs, `[T, *B, H]`; `None` for nothing.
      seen: `(num_steps, carry, ys) -> None`, called with what an unroll gives, where shapes are sought.
    """

    params: Params
    carries: Carry | None = None
    outputs: Any = None
    seen: Callable[[int, Carry, Any], None] | None = struct.field(pytree_node=False, default=None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.params, name)

    def __getitem__(self, place: Any) -> Any:
        return self.params[place]
