"""A task that nothing but the initial carry can solve."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import seqjax as sj
from seqjax import training
from seqjax.tasks import heads, synced

TARGETS = np.cos(0.7 * np.arange(10))[:, None].astype(np.float32)
BATCH = sj.Batch(np.ones((10, 1), np.float32), TARGETS)


def autonomous(initial_carry):
    """Units that read no input and have no bias, so that zeros stay zeros for ever."""
    return sj.gated_cell(
        8, gates=("hidden",), gate=lambda _, x, h, carry: jnp.tanh(h[..., 0, :]), initial_carry=initial_carry
    )


@pytest.mark.parametrize("initial_carry", ["learned", "zeros"])
def test_an_oscillation_without_input(initial_carry, key):
    task, optimizer = synced(autonomous(initial_carry), heads.gaussian(1, scale=1.0)), optax.adam(0.02)
    step = training.make_step(task.loss, optimizer)

    @jax.jit
    def train(key):
        state = training.init_state(key, task, optimizer, input_size=1)
        return jax.lax.scan(lambda state, _: step(state, BATCH), state, length=400)

    state, metrics = train(key)
    rmse = float(metrics["rmse"][-1])
    if initial_carry == "learned":
        assert rmse < 0.05
        assert np.abs(state.params.network.initial_carry).max() > 0.3
    else:  # the best that can be done is the mean of the targets
        assert rmse == pytest.approx(TARGETS.std(), abs=1e-3)
