"""The table of steepest slopes against a fine grid of derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import diagnostics
from seqjax.diagnostics.bounds import STEEPEST


@pytest.mark.slow
def test_the_steepest_slopes_are_those_of_the_functions(x64):
    x = jnp.linspace(-9, 9, 40001)  # symmetric about zero, where most are steepest
    for activation, slope in STEEPEST:
        _, steepness = jax.jvp(activation, (x,), (jnp.ones_like(x),))
        assert float(jnp.abs(steepness).max()) == pytest.approx(slope, rel=1e-3), activation
        assert diagnostics.largest_slope(activation) == slope
    assert np.isfinite([slope for _, slope in STEEPEST]).all()
