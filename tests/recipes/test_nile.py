"""The local level of the Nile, from the command line and back."""

import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import data, training
from seqjax.__main__ import main
from seqjax.recipes import nile
from seqjax.recipes.shared import runs
from seqjax.statespace import lds


@pytest.mark.slow
def test_variances_are_the_published_ones_and_the_run_loads_back(tmp_path, capsys):
    assert main(["train", "nile", "--horizon", "2", "--run-dir", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "1971: 798, with probability 90 %" in printed
    assert (tmp_path / "run" / "nile.png").read_bytes()[1:4] == b"PNG"

    options, document = runs.load_run(tmp_path / "run", "nile", nile.Options)
    results = document["results"]
    assert options.horizon == len(results["forecast"]) == 2
    assert results["noise variance"] == pytest.approx(15098.5, rel=1e-3)
    assert results["level variance"] == pytest.approx(1469.2, rel=2e-3)
    # Durbin & Koopman (2012, section 2.2) leave out the term of the first year, log(2 pi) / 2.
    assert results["log-likelihood"] == pytest.approx(-632.54 - np.log(2 * np.pi) / 2, abs=0.02)

    like = nile.model(jnp.zeros(2))
    params = training.load_weights(tmp_path / "run" / "weights.safetensors", like)
    filtered = lds.filter(params, data.nile().values[:, None])
    forecast = lds.forecast(params, filtered.carry, 2)
    np.testing.assert_allclose(forecast.observation_mean[:, 0], results["forecast"], rtol=1e-5)
    np.testing.assert_allclose(
        np.abs(forecast.observation_cholesky[:, 0, 0]), results["forecast deviation"], rtol=1e-5
    )
