"""Trend and seasons of carbon dioxide, from the command line and back."""

import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import data, training
from seqjax.__main__ import main
from seqjax.recipes import co2
from seqjax.recipes.shared import runs
from seqjax.statespace import lds


@pytest.mark.slow
def test_a_run_prints_its_table_and_loads_back(tmp_path, capsys):
    """Without a step of learning, the variances of the start: what takes time is compiling the gradient."""
    options = ["--harmonics", "1", "--steps", "0", "--years-held-out", "2"]
    assert main(["train", "co2", *options, "--run-dir", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "the 104 weeks held out" in printed
    assert (tmp_path / "run" / "co2.png").read_bytes()[1:4] == b"PNG"

    options, document = runs.load_run(tmp_path / "run", "co2", co2.Options)
    results = document["results"]
    names = ("measurement", "level", "slope", "seasons")
    assert [results["deviations"][name] for name in names] == pytest.approx(co2.START, rel=1e-5)
    assert 0 < results["inside"] < 1
    like = co2.model(jnp.zeros(4), options.harmonics)
    params = training.load_weights(tmp_path / "run" / "weights.safetensors", like)
    np.testing.assert_allclose(params.emission_covariance, [[0.1**2]], rtol=1e-5)

    values = data.co2().values
    known = values[:-104] - values[:-104][~np.isnan(values[:-104])].mean()
    ys = known.astype(np.float32)[:, None]
    log_likelihood = lds.log_normalizer(params, ys, observed=~np.isnan(known))
    assert float(log_likelihood) == pytest.approx(results["log-likelihood"], rel=1e-5)
    assert results["errors"]["trend and seasons"] < results["errors"]["last known year again"]


def test_the_model_without_noise_is_a_line_and_waves():
    params = co2.model(np.log(co2.START), harmonics=2)
    dynamics, emission = np.asarray(params.dynamics, float), np.asarray(params.emission, float)[0]
    state, seen = np.array([1.0, 0.1, 2.0, 0.0, 0.0, 3.0]), []
    for _ in range(60):
        seen.append(emission @ state)
        state = dynamics @ state
    weeks = np.arange(60)
    angles = 2 * np.pi * weeks / (365.25 / 7)
    np.testing.assert_allclose(seen, 1 + 0.1 * weeks + 2 * np.cos(angles) + 3 * np.sin(2 * angles), atol=1e-5)


def test_last_year_goes_on_as_it_was_or_rises():
    year = np.sin(np.arange(52) / 9)
    values = np.concatenate([year, year + 2])
    values[60] = np.nan
    filled = np.array(year)
    filled[8] = (year[7] + year[9]) / 2
    same, rising = (co2.last_year(values, 60, drift=drift) for drift in (False, True))
    np.testing.assert_allclose(same, np.concatenate([filled, filled[:8]]) + 2)
    rise = 2 + (filled[8] - year[8]) / 52
    np.testing.assert_allclose(rising - same, np.repeat([rise, 2 * rise], [52, 8]))
