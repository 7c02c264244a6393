"""What a rule for learning online is: how it keeps what the carry owes to the params."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from seqjax.types import Array, Key, Params, PyTree

Transition = Callable[[Params, Array], Array]
"""`(params, state[N]) -> state[N]`, one step of one row: its carry as one real vector."""


class Probe(NamedTuple):
    """A network as a rule may try it, before any real number is known.

    Attributes:
      transition: `(params, state[N], x, reset) -> state[N]`, one step of one row.
      params: the shapes of the network's params.
      size: `N`, the real numbers of the carry of one row.
      x: the shape of one row's input at one step.
    """

    transition: Callable[[Params, Array, PyTree, Array], Array]
    params: Params
    size: int
    x: PyTree


class Rule(NamedTuple):
    """How a gradient is computed forward in time.

    The influence of the params on the carry, `S_t = d h_t / d theta` of each row, obeys
    `S_t = J_t S_{t-1} + F_t`, with `J_t` and `F_t` the derivatives of one step by carry and by params. Each
    rule keeps it, or something smaller in place of it. All functions are of one row.

    Attributes:
      plan: `(probe) -> plan`, what follows from the structure alone; hashable or not, never traced.
      begin: `(plan, params, size) -> influence`, that of a carry that owes nothing to the params.
      pull: `(plan, influence, cotangent[N]) -> gradient`, `cotangent' S` with the structure of the params.
      advance: `(plan, key, influence, transition, params, state) -> influence` after a step from `state`.
    """

    plan: Callable[[Probe], Any]
    begin: Callable[[Any, Params, int], PyTree]
    pull: Callable[[Any, PyTree, Array], Params]
    advance: Callable[[Any, Key, PyTree, Transition, Params, Array], PyTree]
