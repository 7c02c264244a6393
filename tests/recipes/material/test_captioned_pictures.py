"""Captioned pictures: from files, in batches and on a sheet."""

import numpy as np
import pytest

from seqjax import data
from seqjax.data import Captions
from seqjax.recipes.material.captioned_pictures import Captioned, PictureBatches, draw_sheet, read_image


def test_a_picture_is_put_in_the_middle_of_a_white_square(tmp_path):
    from PIL import Image

    picture = Image.new("RGBA", (2, 4), (0, 0, 255, 255))
    picture.putpixel((0, 0), (9, 9, 9, 0))  # nothing is seen there
    picture.save(tmp_path / "narrow.png")
    image = read_image(str(tmp_path / "narrow.png"), 4)
    assert image.shape == (4, 4, 3)
    assert (image[:, [0, 3]] == 255).all()
    assert image[0, 1].tolist() == [255, 255, 255]
    assert image[0, 2].tolist() == image[3, 1].tolist() == [0, 0, 255]
    assert read_image(str(tmp_path / "narrow.png"), 2)[1, 0].tolist() == [128, 128, 255]


def test_batches_pair_each_picture_with_its_caption():
    pictures = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3)).astype(np.uint8)
    captions = [" ".join([f"thing{number}"] * (1 + number % 3)) for number in range(60)]
    everything = Captions(pictures, captions, [""] * 60, "en", "made up", "these tests")
    vocabulary = data.words(everything.captions)
    batches = PictureBatches(everything, vocabulary, 8, seed=3)
    seen = []
    for batch in batches.epoch_batches(2):
        for row in np.flatnonzero(batch.weights):
            tokens = batch.targets[: batch.target_lengths[row], row]
            assert tokens[-1] == vocabulary.end
            ink = 1 - everything.pictures.reshape(60, -1) / 255
            place = int(np.abs(ink - batch.inputs[row]).sum(axis=1).argmin())
            assert vocabulary.decode(tokens) == everything.captions[place]
            seen.append(place)
    assert sorted(seen) == list(range(60))


def test_a_sheet_says_whether_its_letters_can_be_written(tmp_path):
    picture = np.zeros((4, 4, 3), np.uint8)
    cells = [Captioned(picture, "a dark night", answer) for answer in ("a dark night", "", "a long " * 9)]
    assert draw_sheet(tmp_path / "sheet.png", cells, columns=2)
    unwritten = [Captioned(picture, "\U0010fffd", "\U0010fffd")]  # a code point that no font has
    assert not draw_sheet(tmp_path / "numbers.png", unwritten)
    assert (tmp_path / "numbers.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_no_picture_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="which is not there"):
        read_image(str(tmp_path / "nowhere.png"), 4)
    with pytest.raises(ValueError, match="no picture that can be read"):
        read_image(__file__, 4)
