"""One gradient three ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import diagnostics
from tests import laws
from tests.registry import CELLS, RELATIVES

ALL = CELLS | RELATIVES
BY_DEFAULT = ("elman_tanh",)
NAMES = [name if name in BY_DEFAULT else pytest.param(name, marks=pytest.mark.slow) for name in sorted(ALL)]


def objective(carry, ys):
    return laws.reduced((carry, ys))


@pytest.mark.parametrize("name", NAMES)
def test_backward_forward_and_over_replicas_it_is_the_same(name, x64):
    cell = ALL[name]
    params, xs, _ = laws.example(cell, num_steps=4, batch_shape=(2,))
    backward = jax.jit(lambda params: diagnostics.reverse_gradient(cell, params, xs, objective))(params)
    forward = jax.jit(lambda params: diagnostics.forward_gradient(cell, params, xs, objective))(params)
    unrolled = jax.jit(lambda params: diagnostics.replica_gradients(cell, params, xs, objective))(params)
    laws.check(forward, backward, 1e-10)
    laws.check(unrolled.total, backward, 1e-10)
    laws.check(jax.tree.map(lambda leaf: 4 * leaf, unrolled.averaged), backward, 1e-10)


@pytest.mark.slow
def test_a_replica_moves_only_its_own_step(x64):
    """The last replica's gradient is that of one step from the carry before it."""
    cell = ALL["elman_tanh"]
    params, xs, carry = laws.example(cell, num_steps=3, batch_shape=(2,))
    replicas = diagnostics.replica_gradients(cell, params, xs, lambda carry, ys: jnp.sum(ys[-1]), carry=carry)
    before = diagnostics.state_jacobians(cell, params, xs, carry=carry).carries[1]
    alone = jax.grad(lambda params: jnp.sum(cell.step(params, before, xs[2])[1]))(params)
    laws.check(jax.tree.map(lambda leaf: leaf[2], replicas.replicas), alone, 1e-12)
    with pytest.raises(ValueError, match="xs has no steps"):
        diagnostics.replica_gradients(cell, params, xs[:0], lambda carry, ys: np.sum(ys))
