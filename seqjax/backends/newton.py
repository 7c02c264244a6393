"""Nonlinear recurrences in parallel over time: the states of all steps solve one system of equations."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import ops
from seqjax.backends.newton_iterations import Found, Search, iterate, linearized
from seqjax.backends.scan import scan
from seqjax.cell import Cell
from seqjax.checks import check_size, shown
from seqjax.ops.recurrence_forms import steps_before
from seqjax.ops.rows import Rows
from seqjax.types import Array, Carry, Params, PyTree

JACOBIANS = ("full", "diagonal")
OTHERWISE = ("scan", "error")
DEFAULT_TOLERANCE = 4
"""In units of the rounding error of the states."""


class Info(NamedTuple):
    """What Newton's method did, row by row.

    Attributes:
      converged: `[*B]` booleans; where false, `scan` gave the result.
      iterations: `[*B]` integers, how many linearisations the row took.
      residual: `[*B]`, the largest `|f_t(s_{t-1}) - s_t|` where Newton's method stopped, each step relative
        to one plus the largest number in `s_t`.
      carries: the carry after each step, leaves `[T, *B, ...]`: a guess for inputs or params near these.
    """

    converged: Array
    iterations: Array
    residual: Array
    carries: Carry


def newton(
    cell: Cell,
    params: Params,
    carry: Carry,
    xs: Any,
    *,
    jacobian: str = "full",
    damping: float = 0.0,
    tolerance: float | None = None,
    max_iterations: int = 100,
    otherwise: str = "scan",
    guess: Carry | None = None,
) -> tuple[Carry, Any]:
    """Runs any cell over time by Newton's method on the states of all steps at once.

    Equation: the states solve `s_t = f_t(s_{t-1})`. One iteration takes the linear recurrence
    `d_t = a_t d_{t-1} + f_t(s_{t-1}) - s_t` with `a_t` the Jacobian of `f_t` at `s_{t-1}`, and adds `d` to
    the states. All Jacobians are computed together, and the recurrence runs in parallel (on a CPU, one step
    after the other, which is faster there).

    | `jacobian` | `damping` | method | an iteration reads and writes, a step and row |
    | --- | --- | --- | --- |
    | `"full"` | 0 | DEER (Lim et al., 2024) | `N^2` numbers |
    | `"diagonal"` | 0 | quasi-DEER (Gonzalez et al., 2024, section 4.1) | `N` numbers |
    | `"full"` | positive | ELK (section 4.2) | several times `N^2` numbers |
    | `"diagonal"` | positive | quasi-ELK | several times `N` numbers |

    `N` is the size of the carry of one row. Few iterations suffice where the recurrence forgets what came
    long before, as that of new params does. Undamped steps of a cell that amplifies small differences (as
    many trained ones do) first lead far off, and converge from the beginning of the sequence to its end;
    damped ones bring the sum of squares of `f_t(s_{t-1}) - s_t` down (the Levenberg-Marquardt method) and
    never let it rise, but where the cell amplifies for many steps they may get stuck. Then no form needs few
    iterations: `benchmarks/chaos.py` shows both of a trained, chaotic GRU.

    What has not converged after `max_iterations` is run again by `scan`, or is an error. `solve` says how
    many iterations there were. Under `vmap` over params both ways run for each member, always.

    The gradient does not go through the iterations: it solves one linear recurrence back in time, with the
    full Jacobians at the states found, for each form. It can be differentiated again; forward mode
    (`jax.jvp`, `jax.jacfwd`) has no rule. The step itself must have one.

    Nothing chooses this backend by itself. For a GRU of 4 units over 10,000 steps it was 18 times as fast as
    the loops on an H200; on a CPU it is slower than they are, but for the gradient of so small a cell in one
    row (`benchmarks/parallel_in_time.py`).

    Args:
      cell: any cell.
      params: its params.
      carry: the carry before the first step, floating or complex leaves `[*B, ...]`.
      xs: a pytree of arrays `[T, *B, ...]`, the first leaf with features last.
      jacobian: `"full"` or `"diagonal"`.
      damping: how strong it is at first, at least 0; 0 for none. It falls with each step that helps and rises
        with each that does not, by itself for each row.
      tolerance: the residual (see `Info`) at which a row has converged; `None` for 4 times the rounding error
        of the states' dtype.
      max_iterations: how many linearisations at most.
      otherwise: what becomes of rows that have not converged: `"scan"` runs the loop over steps, `"error"`
        raises an error while the program runs.
      guess: the carries after each step from which to start, leaves `[T, *B, ...]`, in the order in which
        steps run; `None` for zeros. The result does not depend on it.

    Returns:
      The carry after the last step, and the outputs `[T, *B, H]`.

    Raises:
      ValueError: if an option is none of those, or the guess does not fit.
      TypeError: if `max_iterations` is not an integer.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.gru(2)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, ys = newton(cell, params, cell.initial_carry(params, (4,)), jnp.ones((5, 4, 3)))
      >>> ys.shape
      (5, 4, 2)
    """
    return solve(
        cell,
        params,
        carry,
        xs,
        jacobian=jacobian,
        damping=damping,
        tolerance=tolerance,
        max_iterations=max_iterations,
        otherwise=otherwise,
        guess=guess,
    )[:2]


def solve(
    cell: Cell,
    params: Params,
    carry: Carry,
    xs: Any,
    *,
    jacobian: str = "full",
    damping: float = 0.0,
    tolerance: float | None = None,
    max_iterations: int = 100,
    otherwise: str = "scan",
    guess: Carry | None = None,
) -> tuple[Carry, Any, Info]:
    """As `newton`, and what it took.

    A guess is an argument like any other here, where `functools.partial(newton, guess=...)` makes a new
    backend, and so a new program, each time.

    Args:
      cell: any cell.
      params: its params.
      carry: the carry before the first step, leaves `[*B, ...]`.
      xs: a pytree of arrays `[T, *B, ...]`.
      jacobian: as in `newton`, like all that follow.
      damping: at first.
      tolerance: of the residual.
      max_iterations: at most.
      otherwise: `"scan"` or `"error"`.
      guess: leaves `[T, *B, ...]`, or `None`.

    Returns:
      The carry after the last step, the outputs `[T, *B, H]`, and `Info`.

    Raises:
      ValueError: if an option is none of those, or the guess does not fit.
      TypeError: if `max_iterations` is not an integer.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.gru(2)
      >>> params, xs = cell.init(jax.random.key(0), 3), jnp.ones((5, 4, 3))
      >>> _, _, info = solve(cell, params, cell.initial_carry(params, (4,)), xs)
      >>> again = solve(cell, params, cell.initial_carry(params, (4,)), xs, guess=info.carries)[2]
      >>> bool(info.converged.all()), bool((again.iterations < info.iterations).all())
      (True, True)
    """
    _check_options(jacobian, damping, max_iterations, otherwise)
    features = jax.tree.leaves(xs)[0]
    num_steps, batch_shape = features.shape[0], features.shape[1:-1]
    rows = Rows.of(carry, len(batch_shape))
    start = rows.flat(carry)
    if not num_steps:
        nothing = jnp.zeros(batch_shape, start.dtype)
        info = Info(nothing == 0, nothing.astype(int), nothing, rows.tree(start[None][:0]))
        return *scan(cell, params, carry, xs), info
    if guess is None:
        states = jnp.zeros((num_steps, *start.shape), start.dtype)
    else:
        states = rows.flat(_checked_guess(guess, carry, num_steps))
    if tolerance is None:
        tolerance = DEFAULT_TOLERANCE * float(jnp.finfo(start.dtype).eps)
    elif not tolerance > 0:
        raise ValueError(f"tolerance is {shown(tolerance)}, expected a positive number, or None.")
    plan = _Plan(cell, rows, Search(jacobian == "full", float(damping), tolerance, max_iterations), otherwise)
    states, (converged, iterations, residual) = _solved(plan, params, start, xs, states)
    before = rows.tree(steps_before(states, start, False))
    afters, ys = _all_steps(cell, params, before, xs)
    last = jax.tree.map(lambda leaf: leaf[-1], afters)
    carries = jax.lax.stop_gradient(rows.tree(states))
    return last, ys, Info(converged, iterations, jax.lax.stop_gradient(residual), carries)


def _check_options(jacobian: str, damping: float, max_iterations: int, otherwise: str) -> None:
    for name, value, words in (("jacobian", jacobian, JACOBIANS), ("otherwise", otherwise, OTHERWISE)):
        if value not in words:
            raise ValueError(f"{name} is {shown(value)}, expected {' or '.join(map(repr, words))}.")
    if not 0 <= damping < math.inf:
        raise ValueError(f"damping is {shown(damping)}, expected a number that is not negative; 0 for none.")
    check_size("max_iterations", max_iterations)


def _checked_guess(guess: Carry, carry: Carry, num_steps: int) -> Carry:
    wanted = jax.tree.map(lambda leaf: (num_steps, *leaf.shape), carry)
    came = jax.tree.map(jnp.shape, guess)
    if came != wanted:
        raise ValueError(
            f"guess has the shapes {came}, expected {wanted}: the carry after each step, as the carries of "
            f"solve's info."
        )
    return jax.tree.map(lambda leaf, like: jnp.asarray(leaf, like.dtype), guess, carry)


class _Plan(NamedTuple):
    """What is known before any number is."""

    cell: Cell
    rows: Rows
    search: Search
    otherwise: str

    def transition(self, params: Params, before: Array, xs: Any) -> Array:
        """The states after each step, from those before it: `[T, *B, N] -> [T, *B, N]`."""
        afters, _ = _all_steps(self.cell, params, self.rows.tree(before), xs)
        return self.rows.flat(afters).astype(before.dtype)


def _all_steps(cell: Cell, params: Params, before: Carry, xs: Any) -> tuple[Carry, Any]:
    """Every step by itself; a step knows of no axis of time, so that it is mapped over."""
    return jax.vmap(cell.step, (None, 0, 0))(params, before, xs)


Outcome = tuple[Array, Array, Array]
"""Whether each row converged, its iterations, and its residual."""


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _solved(plan: _Plan, params: Params, start: Array, xs: Any, guess: Array) -> tuple[Array, Outcome]:
    """The states after each step, by Newton's method or, where that fails, as `plan.otherwise` says."""
    found = iterate(lambda before: plan.transition(params, before, xs), start, guess, plan.search)
    converged = found.residual <= plan.search.tolerance
    if plan.otherwise == "error":
        return _or_error(found, converged, plan.search), (converged, found.iterations, found.residual)

    def by_scan() -> Array:
        def step(carry: Carry, x: Any) -> tuple[Carry, Carry]:
            carry, _ = plan.cell.step(params, carry, x)
            return carry, carry

        states = plan.rows.flat(jax.lax.scan(step, plan.rows.tree(start), xs)[1])
        return jnp.where(converged[..., None], found.states, states)

    states = jax.lax.cond(jnp.all(converged), lambda: found.states, by_scan)
    return states, (converged, found.iterations, found.residual)


def _or_error(found: Found, converged: Array, search: Search) -> Array:
    """The states, behind a look at them from outside of the program, which alone can raise an error."""

    def look(converged: np.ndarray, iterations: np.ndarray, residual: np.ndarray) -> np.ndarray:
        converged = np.asarray(converged)
        if not converged.all():
            raise FloatingPointError(
                f"method 'newton' did not converge in {np.sum(~converged)} of {converged.size} rows: the "
                f"largest residual is {np.max(residual):.3g} after {np.max(iterations)} iterations, expected "
                f"{search.tolerance:.3g}. Set damping, raise max_iterations, or take otherwise='scan'."
            )
        return converged

    shape = jax.ShapeDtypeStruct(converged.shape, converged.dtype)
    seen = jax.pure_callback(
        look, shape, converged, found.iterations, found.residual, vmap_method="broadcast_all"
    )
    # The states depend on the look, so that no compiler leaves it out.
    return jnp.where(seen[..., None], found.states, 0)


def _solved_keeping(
    plan: _Plan, params: Params, start: Array, xs: Any, guess: Array
) -> tuple[tuple[Array, Outcome], tuple]:
    states, outcome = _solved(plan, params, start, xs, guess)
    return (states, outcome), (params, start, xs, states)


def _backward(plan: _Plan, kept: tuple, cotangents: tuple[Array, Any]) -> tuple[Params, Array, PyTree, Array]:
    """The implicit gradient: `g_t = d_t + a_{t+1}' g_{t+1}` is what reaches the equation of each step."""
    params, start, xs, states = kept
    before = steps_before(states, start, False)
    _, jacobians = linearized(lambda before: plan.transition(params, before, xs), before, dense=True)
    back = steps_before(jnp.swapaxes(jacobians, -1, -2), jnp.zeros_like(jacobians[0]), True)
    reached = ops.linear_recurrence(back, cotangents[0], jnp.zeros_like(start), reverse=True, dense=True)
    _, pull = jax.vjp(plan.transition, params, before, xs)
    d_params, d_before, d_xs = pull(reached)
    return d_params, d_before[0], d_xs, jnp.zeros_like(states)


_solved.defvjp(_solved_keeping, _backward)
