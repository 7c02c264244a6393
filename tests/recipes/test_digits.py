"""Handwritten digits, end to end on made-up bars, and what the pictures go through."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import data
from seqjax.__main__ import main
from seqjax.data import Digits
from seqjax.recipes import digits
from seqjax.recipes.digit_pictures import distort, nearest_pictures, read_picture, write_picture

DISTORT = jax.jit(distort)


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


def test_pictures_are_written_and_read_exactly(tmp_path):
    image = np.random.default_rng(0).integers(0, 120, (28, 28)).astype(np.uint8)
    write_picture(tmp_path / "digit.png", image)
    np.testing.assert_array_equal(read_picture(str(tmp_path / "digit.png")), image)


def test_pixels_come_in_the_order_of_reading():
    images = np.arange(2 * 784).reshape(2, 28, 28) % 256
    rows, pixels = (digits.sequences(images, pixels)[1] for pixels in (False, True))
    assert rows.shape == (28, 28)
    assert pixels.shape == (784, 1)
    np.testing.assert_array_equal(rows.ravel(), pixels[:, 0])
    assert pixels[3, 0] == np.float32(images[1, 0, 3]) / np.float32(255)


def test_a_distortion_keeps_what_stands_in_the_middle_and_moves_the_rest():
    images = jnp.zeros((20, 28, 28)).at[:, 12:16, 12:16].set(1.0).at[:, 4, 12:16].set(1.0)
    moved = DISTORT(jax.random.key(0), images, shift=1.0, turn=10.0, zoom=0.1)
    assert moved.shape == images.shape
    np.testing.assert_allclose(moved[:, 13:15, 13:15].mean(axis=(1, 2)), 1, atol=0.1)
    # Each picture is moved in a way of its own, and hardly any ink is lost or made.
    assert len(np.unique(np.round(np.asarray(moved).reshape(20, -1), 3), axis=0)) == 20
    np.testing.assert_allclose(moved.sum(axis=(1, 2)) / images.sum(axis=(1, 2)), 1, atol=0.25)


def test_a_shift_is_a_shift():
    # Linear interpolation is exact on a plane: whatever is drawn, inner pixels grow by the same amount.
    images = jnp.tile(jnp.arange(784.0).reshape(1, 28, 28), (20, 1, 1))
    moved = DISTORT(jax.random.key(1), images, shift=3.0, turn=0.0, zoom=0.0)
    grown = (moved - images)[:, 4:24, 4:24]
    np.testing.assert_allclose(grown, jnp.broadcast_to(grown[:, :1, :1], grown.shape), atol=1e-2)
    assert 30 < float(jnp.abs(grown).max()) < 3 * 29


def test_training_distorts_and_evaluation_does_not():
    batch = data.Batches(digits.sequences(made_up(4).images, True), [0, 1, 2, 0], batch_size=4)
    batch = next(batch.epoch_batches())
    distorted = digits.distorting(lambda params, batch, **_: batch.inputs, digits.Options(pixels=True))
    moved = jax.jit(lambda key: distorted(None, batch, key=key))(jax.random.key(0))
    assert moved.shape == batch.inputs.shape
    assert np.abs(moved - batch.inputs).max() > 0.1
    np.testing.assert_array_equal(distorted(None, batch), batch.inputs)


def test_the_nearest_picture_is_the_one_that_differs_least():
    generator = np.random.default_rng(0)
    known, unseen = (generator.integers(0, 256, (count, 28, 28)).astype(np.uint8) for count in (7, 5))
    away = ((known[:, None].astype(float) - unseen.astype(float)) ** 2).sum(axis=(2, 3))
    np.testing.assert_array_equal(nearest_pictures(known, unseen), away.argmin(axis=0))


def test_pixels_are_a_flag_and_help_says_that_they_are_slow(capsys):
    with pytest.raises(SystemExit):
        main(["train", "digits", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "--pixels a step is a pixel and not a row: 784 of them, about 30 times slower on a CPU" in shown
    assert digits.network(digits.Options(pixels=True, cell="lru", hidden_size=4)).network.output_size(1) == 4
