"""Captioning of made-up pictures, and the command line around it."""

import json

import jax
import numpy as np
import pytest

from seqjax import data
from seqjax.__main__ import main
from seqjax.data import Captions
from seqjax.recipes import captioning
from seqjax.recipes.material.captioned_pictures import read_image

TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
COLOURS = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1)]
SMALL = ["--size", "12", "--channels", "6", "--hidden-size", "16", "--embedding-size", "8", "--cell", "elman"]
SMALL += ["--dropout", "0", "--label-smoothing", "0", "--batch-size", "16", "--beam-width", "2"]


def made_up(language="en", *, size=12):
    """Twelve things, each a black block at a place of its own, above a strip in one of five colours."""
    pictures, captions, emoji = [], [], []
    for place in range(12):
        for tone, colour in enumerate(COLOURS):
            picture = np.full((12, 12, 3), 255, np.uint8)
            top, left = 3 * (place // 4), 3 * (place % 4)
            picture[top : top + 3, left : left + 3] = 0
            picture[9:] = 255 * (1 - np.array(colour))
            pictures.append(picture)
            captions.append(f"{('up', 'middle', 'down')[top // 3]} thing{left} tone {tone}")
            emoji.append(chr(0x1F44B + place) + TONES[tone])
    return Captions(np.stack(pictures), captions, emoji, language, "made up", "these tests")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a trained run."""
    folder = tmp_path_factory.mktemp("runs") / "captioning"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "emoji_captions", made_up)
        arguments = ["--epochs", "80", "--learning-rate", "0.01", "--run-dir", str(folder)]
        assert main(["train", "captioning", *SMALL, *arguments]) == 0
    return folder


@pytest.mark.slow
def test_training_saves_all_that_an_answer_needs(run):
    pictures = ["captions.png", "curve.png", "example.png"]
    others = ["report.md", "run.json", "weights.safetensors"]
    assert sorted(path.name for path in run.iterdir()) == [*pictures, *others]
    assert json.loads((run / "run.json").read_text())["recipe"] == "captioning"
    assert all((run / name).read_bytes().startswith(b"\x89PNG") for name in pictures)


@pytest.mark.slow
def test_new_combinations_are_captioned_exactly_where_no_known_caption_is(run):
    results = json.loads((run / "run.json").read_text())["results"]
    assert results["most frequent caption"] == results["caption of the nearest picture"] == 0
    assert results["network"] > 0.5
    assert results["network, words"] > results["caption of the nearest picture, words"]
    # The nearest picture has another tone, one word of four, or is another thing.
    assert 0.4 < results["caption of the nearest picture, words"] <= 0.75


@pytest.mark.slow
def test_predict_captions_a_file_whatever_stands_beside(run, tmp_path, capsys):
    from PIL import Image

    everything = made_up()
    held_out = data.split_combinations(everything, 0.2, 0)[1]
    files = [run / "example.png", tmp_path / "large.png"]
    Image.fromarray(everything.pictures[0]).resize((48, 48), Image.Resampling.NEAREST).save(files[1])
    assert main(["predict", str(run), *map(str, files)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"up thing0 tone 0  {files[1]}"
    assert lines[0].endswith(f"  {files[0]}")
    np.testing.assert_array_equal(read_image(str(files[0]), 12), held_out.pictures[0])
    assert captioning.predict(run, [str(files[1])]) == lines[1:]


@pytest.mark.parametrize("cell", ["lstm", "lru", "qrnn"])
def test_gated_and_affine_cells_can_be_built(cell):
    options = captioning.Options(cell=cell, hidden_size=4, embedding_size=3, channels=2, size=7)
    task = captioning.network(options, 9)
    params = jax.eval_shape(lambda key: task.init(key, 147), jax.random.key(0))
    batch = jax.eval_shape(lambda: (np.zeros((5, 147), np.float32), np.zeros((6, 5), np.int32)))
    logits = jax.eval_shape(lambda params, inputs, targets: task.predict(params, inputs, targets)[1].logits,
                            params, *batch)  # fmt: skip
    assert logits.shape == (6, 5, 9)


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["train", "captioning", "--language", "la"], "invalid choice: 'la'"),
        (["train", "captioning", "--size", "73"], "size is 73"),
        (["train", "captioning", "--dropout", "1"], "rate is 1.0"),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path, arguments, fragment, capsys, monkeypatch):
    if "73" not in arguments:
        monkeypatch.setattr(data, "emoji_captions", made_up)
    try:
        got = main([*arguments, "--run-dir", str(tmp_path / "run")])
    except SystemExit as stop:
        got = stop.code
    shown = capsys.readouterr().err
    assert got == 2
    assert fragment in shown
    assert "Traceback" not in shown


@pytest.mark.slow
def test_a_run_without_its_longest_caption_is_refused(run, tmp_path, capsys):
    document = json.loads((run / "run.json").read_text())
    document["texts"].pop("longest")
    (tmp_path / "run.json").write_text(json.dumps(document))
    assert main(["predict", str(tmp_path), str(run / "example.png")]) == 2
    assert "lacks longest" in capsys.readouterr().err
