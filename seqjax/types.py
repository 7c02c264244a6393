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
