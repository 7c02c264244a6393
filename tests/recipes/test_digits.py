"""Handwritten digits, end to end on made-up bars."""

import json

import jax
import numpy as np
import pytest

from seqjax import data
from seqjax.__main__ import main
from seqjax.data import Digits
from seqjax.recipes import digits
from seqjax.recipes.material.digit_pictures import write_picture


def made_up(count=150):
    """Three digits that are bars, on the left, on the right or below, thick or thin, light or dark."""
    generator = np.random.default_rng(0)
    images = np.zeros((count, 28, 28), np.uint8)
    for number, image in enumerate(images):
        ink, thick = int(generator.integers(120, 256)), int(generator.integers(3, 7))
        place = [np.s_[4:27, 3 : 3 + thick], np.s_[4:27, 19 : 19 + thick], np.s_[19 : 19 + thick, 4:24]]
        image[place[number % 3]] = ink
    return Digits(images, np.arange(count, dtype=np.int32) % 3, "made up", "these tests")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run, its folder."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "mnist_5k", made_up)
        arguments = ["--cell", "elman", "--hidden-size", "16", "--dropout", "0"]
        arguments += ["--batch-size", "16", "--learning-rate", "0.01", "--epochs", "30"]
        assert main(["train", "digits", *arguments, "--run-dir", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_bars_are_told_apart_and_baselines_reported(run):
    results = json.loads((run / "run.json").read_text())["results"]
    assert results["network"] >= 0.9 > 0.5 > results["one_for_all"]
    assert results["nearest_picture"] > 0.5


@pytest.mark.slow
def test_the_report_holds_counts_and_pictures(run):
    report = (run / "report.md").read_text()
    assert "108 digits to learn from, 12 to validate, 30 held out" in report
    for name in ("confusions", "curve", "digit", "mistakes"):
        assert f"![{name}]({name}.png)" in report


@pytest.mark.slow
def test_predict_reads_pictures_from_files(run, tmp_path, capsys):
    from PIL import Image

    names = []
    for number, image in enumerate(made_up(3).images):
        names.append(str(tmp_path / f"{number}.png"))
        write_picture(tmp_path / f"{number}.png", image)
    # The same picture larger, in colour and as dark ink on paper.
    names.append(str(tmp_path / "paper.bmp"))
    paper = Image.fromarray(np.kron(255 - made_up(3).images[1], np.ones((3, 3), np.uint8)))
    paper.convert("RGB").save(names[-1])
    assert main(["predict", str(run), *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "1"]
    assert lines[1].split()[1] == lines[3].split()[1]
    assert lines[3].endswith(names[3])


@pytest.mark.slow
@pytest.mark.parametrize(("content", "fragment"), [(None, "is not there"), (b"digit", "is no picture")])
def test_files_that_hold_no_picture_are_told_in_a_line(run, tmp_path, content, fragment, capsys):
    file = tmp_path / "digit.png"
    if content is not None:
        file.write_bytes(content)
    assert main(["predict", str(run), str(file)]) in (1, 2)
    shown = capsys.readouterr().err
    assert fragment in shown
    assert shown.count("\n") == 1


def test_training_distorts_and_evaluation_does_not():
    batch = data.Batches(digits.sequences(made_up(4).images, True), [0, 1, 2, 0], batch_size=4)
    batch = next(batch.epoch_batches())
    distorted = digits.distorting(lambda params, batch, **_: batch.inputs, digits.Options(pixels=True))
    moved = jax.jit(lambda key: distorted(None, batch, key=key))(jax.random.key(0))
    assert moved.shape == batch.inputs.shape
    assert np.abs(moved - batch.inputs).max() > 0.1
    np.testing.assert_array_equal(distorted(None, batch), batch.inputs)


def test_pixels_are_a_flag_and_help_says_that_they_are_slow(capsys):
    with pytest.raises(SystemExit):
        main(["train", "digits", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "--pixels a step is a pixel and not a row: 784 of them, about 30 times slower on a CPU" in shown
    assert digits.network(digits.Options(pixels=True, cell="lru", hidden_size=4)).network.output_size(1) == 4
