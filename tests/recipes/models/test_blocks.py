"""A recurrent layer by the name of its cell."""

import jax
import jax.numpy as jnp


def test_an_affine_cell_bends_its_inputs():
    """A linear layer maps sums to sums; the block around a linear recurrence does not."""
    from seqjax.recipes.models.blocks import block

    layer = block("lru", 4)

    @jax.jit
    def outputs(key):
        first, second = jax.random.normal(key, (2, 3, 2))
        xs = jnp.stack([first, second, first + second, jnp.zeros((3, 2))], axis=1)
        return layer.unroll(layer.init(key, 2), xs)[1]

    first, second, both, neither = jnp.moveaxis(outputs(jax.random.key(0)), 1, 0)
    assert float(jnp.abs(both + neither - first - second).max()) > 1e-3
