"""What the tests of layers share."""

import jax
import numpy as np


def draw(layer, input_size, seed=0):
    """Params of a layer, drawn without compiling its `init`."""
    generator = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda key: layer.init(key, input_size), jax.random.key(0))
    return jax.tree.map(
        lambda leaf: jax.numpy.asarray(generator.normal(0, 0.5, leaf.shape), leaf.dtype), shapes
    )


def close(got, wanted):
    """Two pytrees of the same structure, equal up to rounding in float32."""
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6), got, wanted)
