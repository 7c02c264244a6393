"""The side-by-side forecast of sunspots, with little training."""

import json

import numpy as np
import pytest

from seqjax import data
from seqjax.recipes import sunspots
from seqjax.recipes.models import forecasters

pytestmark = pytest.mark.slow
KNOWN = 250
OPTIONS = sunspots.Options(steps=20, members=2, em_steps=2, hidden_size=4, horizon=5, taps=9)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder, the errors, and what each model was given to learn from."""
    folder, learned_from = tmp_path_factory.mktemp("runs") / "sunspots", []

    def spied(fit):
        def call(known, *args):
            learned_from.append(np.asarray(known))
            return fit(known, *args)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fit_ar", "fit_lds", "fit_network"):
            patch.setattr(forecasters, name, spied(getattr(forecasters, name)))
        errors = sunspots.train(OPTIONS, folder)
    return folder, errors, learned_from


def test_table_picture_and_run_are_saved(run):
    folder, errors, _ = run
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["run.json", "sunspots.png", "weights.safetensors"]
    assert json.loads((folder / "run.json").read_text())["results"] == errors
    baselines = ["as the last year", "as 11 years before", "mean"]
    assert list(errors) == ["AR", "TDNN", "NARX", "LDS", "LSTM", *baselines]
    assert np.isfinite(list(errors.values())).all()
    assert errors["AR"][0] < errors["as the last year"][0] < errors["mean"][0]


def test_no_model_learns_from_held_out_years(run):
    roots = np.sqrt(data.sunspots().values[:KNOWN])
    assert len(run[2]) == 5
    for known in run[2]:
        np.testing.assert_allclose(known[:, 0], (roots - roots.mean()) / roots.std(), rtol=1e-4, atol=1e-6)


def test_baselines_and_errors_by_hand(run):
    values, errors = data.sunspots().values, run[1]
    later = values[KNOWN:]

    def root_mean_square(differences):
        return pytest.approx(np.sqrt(np.mean(differences**2)))

    assert errors["as the last year"][0] == root_mean_square(later - values[KNOWN - 1 : -1])
    assert errors["mean"][2] == root_mean_square(later[2:] - values[:KNOWN].mean())
    assert errors["as 11 years before"][4] == root_mean_square(later[4:] - values[KNOWN + 4 - 11 : -11])
