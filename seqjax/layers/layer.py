"""A layer: a whole sequence in, a whole sequence out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from seqjax.types import Carry, Key, Params


class Layer(NamedTuple):
    """What runs over a whole sequence.

    Attributes:
      init: `(key, input_size) -> params`.
      initial_carry: `(params, batch_shape=()) -> carry`; `()` for a layer that remembers nothing.
      step: `(params, carry, x) -> (carry, y)`, one instant in evaluation mode, for streaming; `None` where no
        step can exist because a later input changes an earlier output (bidirectional).
      unroll: `(params, xs, *, carry=None, lengths=None, resets=None, key=None) -> (carry, ys)` over
        `xs[T, *B, D]`. Steps at or past `lengths[*B]` leave the carry as it was and give zero outputs;
        `resets[T, *B]` return the carry to the initial one before that step; `key=None` means evaluation.
      output_size: `(input_size) -> int`, the features of `ys`.
    """

    init: Callable[[Key, int], Params]
    initial_carry: Callable[..., Carry]
    step: Callable[[Params, Carry, Any], tuple[Carry, Any]] | None
    unroll: Callable[..., tuple[Carry, Any]]
    output_size: Callable[[int], int]
