"""Newton's method over time: what it solves, what it says when it cannot, and what was published of it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax.backends.newton import newton, solve
from seqjax.backends.newton_iterations import Search, damped_change, iterate
from tests import laws

CELL = sj.gru(2)
VARIANTS = {
    "deer": {},
    "quasi_deer": {"jacobian": "diagonal"},
    "elk": {"damping": 1.0},
    "quasi_elk": {"jacobian": "diagonal", "damping": 1.0},
}


def trial(cell, num_steps, batch_size, gain=1.0, **options):
    """New params whose recurrent kernel is scaled, normal inputs, and a compiled `solve` of them."""
    params = cell.init(jax.random.key(0), 3)
    params = dataclasses.replace(params, recurrent_kernel=gain * params.recurrent_kernel)
    xs = np.random.default_rng(0).normal(size=(num_steps, batch_size, 3)).astype(jnp.result_type(float))
    carry = cell.initial_carry(params, (batch_size,))
    return params, carry, xs, jax.jit(functools.partial(solve, cell, **options))


@pytest.mark.parametrize("dense", [False, True])
def test_damped_change_is_the_solution_of_least_squares(dense, x64):
    """All equations at once, with rows for the damping, solved by a singular value decomposition."""
    num_steps, size, damping = 40, 2, np.array([0.3, 1e-4])
    generator = np.random.default_rng(0)
    a = generator.normal(size=(num_steps, 2, size, size) if dense else (num_steps, 2, size))
    gap = generator.normal(size=(num_steps, 2, size))
    got = jax.jit(functools.partial(damped_change, dense=dense))(a, gap, damping)
    for row in range(2):
        system = np.eye(num_steps * size)
        for t in range(1, num_steps):
            here, before = slice(t * size, (t + 1) * size), slice((t - 1) * size, t * size)
            system[here, before] = -a[t, row] if dense else -np.diag(a[t, row])
        stacked = np.concatenate([system, np.sqrt(damping[row]) * np.eye(num_steps * size)])
        wanted = np.linalg.lstsq(stacked, np.concatenate([gap[:, row].ravel(), np.zeros(num_steps * size)]))[
            0
        ]
        np.testing.assert_allclose(got[:, row].ravel(), wanted, atol=1e-9 * np.abs(wanted).max())


@pytest.mark.slow
def test_second_derivatives_are_those_of_scan(x64):
    params, xs, carry = laws.example(CELL, num_steps=3, batch_shape=())

    def gradient(method, carry):
        def loss(carry):
            return laws.reduced(sj.unroll(CELL, params, xs, carry=carry, method=method))

        return jax.grad(loss)(carry)

    hessian = [
        jax.jit(jax.jacrev(functools.partial(gradient, method)))(carry) for method in ("newton", "scan")
    ]
    np.testing.assert_allclose(*hessian, atol=1e-10)


def solved_row(params, carry, xs):
    """The second row is such that a guess of zeros, which is the default, solves it."""
    return params, carry.at[1].set(0), xs * np.array([1, 0])[:, None].astype(xs.dtype)


def test_rows_that_do_not_converge_are_those_of_scan(x64):
    """One iteration does not suffice: values and gradients are right even so, and the info says it."""
    *arguments, _ = trial(CELL, 20, 2)
    arguments = solved_row(*arguments)

    def by_newton(params, carry, xs):
        *result, info = solve(CELL, params, carry, xs, max_iterations=1)
        return laws.reduced(result), info

    def by_scan(params, carry, xs):
        return laws.reduced(sj.unroll(CELL, params, xs, carry=carry, method="scan")), None

    (got, info), gradients = jax.jit(jax.value_and_grad(by_newton, (0, 1, 2), has_aux=True))(*arguments)
    (wanted, _), reference = jax.jit(jax.value_and_grad(by_scan, (0, 1, 2), has_aux=True))(*arguments)
    laws.check((got, gradients), (wanted, reference), 1e-12)
    assert info.converged.tolist() == [False, True]
    assert info.iterations.tolist() == [1, 0]
    assert info.residual[0] > 1e-4
    assert info.residual[1] == 0


def test_error_where_asked_for():
    params, carry, xs, run = trial(CELL, 20, 2, max_iterations=1, otherwise="error")
    with pytest.raises(Exception, match=r"'newton' did not converge in 2 of 2 rows.*after 1 iterations"):
        jax.block_until_ready(run(params, carry, xs))
    with pytest.raises(Exception, match=r"'newton' did not converge in 1 of 2 rows"):
        jax.block_until_ready(run(*solved_row(params, carry, xs)))
    jax.block_until_ready(run(params, 0 * carry, 0 * xs))


def test_long_sequence_in_single_precision():
    """Lim et al. (2024, figure 2): few iterations, and about 1e-7 from the result of the loop over steps."""
    cell = sj.gru(4)
    params, carry, xs, run = trial(cell, 2000, 2)
    _, ys, info = run(params, carry, xs)
    wanted = sj.unroll(cell, params, xs, carry=carry, method="scan")[1]
    assert info.converged.all()
    assert info.iterations.max() <= 8
    assert np.abs(ys - wanted).max() < 5e-7


@pytest.mark.slow
def test_undamped_steps_diverge_where_a_cell_amplifies_and_damped_ones_do_not():
    """As Gonzalez et al. (2024, figure 4) saw of a trained GRU; here a scaled kernel amplifies."""
    cell = sj.gru(6)
    params, carry, xs, _ = trial(cell, 256, 4, gain=3.0)

    def transition(before):
        return jax.vmap(cell.step, (None, 0, 0))(params, before, 0.3 * xs)[0]

    def run(guess, damping, max_iterations):
        return iterate(transition, carry, guess, Search(True, damping, 5e-7, max_iterations))

    nothing = jnp.zeros((256, *carry.shape))
    at_first = np.sum(np.square(transition(nothing.at[0].set(carry))), (0, 2))
    undamped, damped = (
        jax.jit(functools.partial(run, damping=damping, max_iterations=count))
        for damping, count in ((0.0, 1), (1.0, 30))
    )
    guess, misfits = nothing, []
    for _ in range(10):
        found = undamped(guess)
        guess = found.states
        misfits.append(np.nan_to_num(found.misfit, nan=np.inf))
    assert (np.max(misfits, 0) > 1e6 * at_first).all()
    found = damped(nothing)
    assert (found.misfit < 0.3 * at_first).all()
    assert np.abs(found.states).max() < 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jacobian": "none"}, "jacobian is 'none', expected 'full' or 'diagonal'"),
        ({"damping": -1.0}, "damping is -1.0, expected a number that is not negative"),
        ({"damping": float("nan")}, "damping is nan, expected"),
        ({"tolerance": 0.0}, "tolerance is 0.0, expected a positive number"),
        ({"max_iterations": 0}, "max_iterations is 0, expected a positive integer"),
        ({"otherwise": "nan"}, "otherwise is 'nan', expected 'scan' or 'error'"),
        ({"guess": np.zeros((4, 2))}, r"guess has the shapes \(4, 2\), expected \(5, 2\)"),
    ],
)
def test_options_are_looked_at(options, message):
    params, xs, carry = laws.example(CELL, num_steps=5, batch_shape=())
    with pytest.raises(ValueError, match=message):
        newton(CELL, params, carry, xs, **options)
