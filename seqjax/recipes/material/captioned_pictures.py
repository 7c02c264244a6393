"""Pictures in colour and their captions: in batches, from files, and side by side on a sheet."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqjax import data, plot
from seqjax.data import Captions, Vocabulary
from seqjax.types import Batch


class Captioned(NamedTuple):
    """A picture, what it shows, and what was said about it.

    Attributes:
      picture: `[S, S, 3]` uint8.
      truth: its caption.
      answer: what a model said.
    """

    picture: npt.NDArray[np.uint8]
    truth: str
    answer: str


def ink(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Pictures as a network reads them: how much each colour of a pixel falls short of white.

    Paper is 0, as is what convolutions see around a picture.

    Args:
      images: `[N, S, S, 3]`.

    Returns:
      `[N, S * S * 3]` from 0 to 1.

    Example:
      >>> ink(np.array([[[[255, 0, 0]]]], np.uint8)).tolist()
      [[0.0, 1.0, 1.0]]
    """
    return np.float32(1) - images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


class PictureBatches:
    """Batches of pictures and their captions, each closed by an end token and padded to the longest.

    Args:
      captions: pictures with a caption each.
      vocabulary: what turns captions into tokens.
      size: pictures a batch.
      seed: of the order.

    Example:
      >>> few = Captions(np.zeros((2, 1, 1, 3), np.uint8), ["a", "b"], ["", ""], "en", "", "")
      >>> batches = PictureBatches(few, data.words(few.captions), 2)
      >>> batch = next(batches.epoch_batches())
      >>> batch.inputs.shape, sorted(batch.targets.T.tolist())
      ((2, 3), [[4, 3], [5, 3]])
    """

    def __init__(self, captions: Captions, vocabulary: Vocabulary, size: int, seed: int = 0) -> None:
        """See the class."""
        tokens = [[*vocabulary.encode(caption), Vocabulary.end] for caption in captions.captions]
        self._pictures = captions.pictures
        # Captions lead, since they differ in length; which picture each is of comes with it as a label.
        self._batches = data.Batches(
            tokens, np.arange(len(tokens)), batch_size=size, seed=seed, max_buckets=1
        )

    @property
    def batches_per_epoch(self) -> int:
        """How many batches hold every picture once."""
        return self._batches.batches_per_epoch

    def epoch_batches(self, epoch: int = 0) -> Iterator[Batch]:
        """The batches of one epoch: `inputs[B, D]`, `targets[T', B]`, `target_lengths[B]`, `weights[B]`."""
        for batch in self._batches.epoch_batches(epoch):
            yield Batch(
                inputs=ink(self._pictures[batch.targets]),
                targets=batch.inputs,
                target_lengths=batch.lengths,
                weights=batch.weights,
            )


def read_image(name: str, size: int) -> npt.NDArray[np.uint8]:
    """A picture from a file of any format and size, in the middle of a white square.

    Args:
      name: the file.
      size: the side of the result in pixels.

    Returns:
      `[size, size, 3]` uint8: red, green and blue.

    Raises:
      ImportError: if pillow is not installed; the message names the extra.
      OSError: if there is no such file.
      ValueError: if it is no picture.

    Example:
      >>> read_image("hand.png", 36).shape  # doctest: +SKIP
      (36, 36, 3)
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError('pictures are read by pillow: pip install "seqjax[data]".') from error
    if not Path(name).is_file():
        raise FileNotFoundError(f"file is {name}, which is not there: give a file that holds a picture.")
    try:
        with Image.open(name) as opened:
            picture = opened.convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"file is {name}, which is no picture that can be read: {error}.") from error
    side = max(picture.size)
    white = Image.new("RGBA", (side, side), "white")
    white.alpha_composite(picture, dest=((side - picture.width) // 2, (side - picture.height) // 2))
    return np.asarray(white.convert("RGB").resize((size, size), Image.Resampling.BOX))


def draw_sheet(path: Path, cells: Sequence[Captioned], columns: int = 6) -> bool:
    """Draws pictures with the answers below them, and marks which are right.

    A sign and the line of the frame tell what its colour tells, for those who do not see all colours.

    Args:
      path: the picture to write.
      cells: what to show, numbered from 1 in this order.
      columns: pictures a row.

    Returns:
      Whether a font of this machine has all letters of the captions; else the numbers alone are written.

    Raises:
      ImportError: if matplotlib is not installed; the message names the extra.

    Example:
      >>> import tempfile
      >>> file = Path(tempfile.mkdtemp()) / "sheet.png"
      >>> draw_sheet(file, [Captioned(np.zeros((9, 9, 3), np.uint8), "a dark night", "a dark knight")])
      True
      >>> file.read_bytes()[1:4]
      b'PNG'
    """
    lines = -(-len(cells) // columns)
    figure, panels = plot.new_figure(lines, columns, (columns * 1.8, lines * 2.15))
    font = _font("".join(cell.truth + cell.answer for cell in cells))
    for axes in panels[len(cells) :]:
        axes.set_axis_off()
    for number, (axes, cell) in enumerate(zip(panels, cells, strict=False), 1):
        right = cell.answer == cell.truth
        axes.imshow(cell.picture)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set(
            visible=True,
            linewidth=1.2 if right else 2.4,
            linestyle="-" if right else ":",
            color=plot.COLOURS[0 if right else 1],
        )
        sign = f"{number} \N{CHECK MARK}" if right else f"{number} \N{BALLOT X}"
        axes.set_title(sign, fontsize=7, loc="left", pad=2, family="DejaVu Sans")
        if font is not None:
            said = textwrap.fill(cell.answer or "(nothing)", 26)
            meant = "" if right else "\nis: " + textwrap.fill(cell.truth, 24)
            axes.set_xlabel(said + meant, fontsize=6, family=font, labelpad=2)
    plot.save(figure, path)
    return font is not None


def _font(text: str) -> str | None:
    """A font that has every letter of a text, that of matplotlib if it does."""
    from matplotlib import font_manager

    letters = {ord(letter) for letter in text} - {ord(" ")}
    default = font_manager.FontProperties(family="DejaVu Sans")
    # Fonts of last resort have a sign for every letter, and it says no more than that one is missing.
    installed = [
        (font.fname, font.name)
        for font in font_manager.fontManager.ttflist
        if not font.name.startswith("Last Resort")
    ]
    for file, name in [(font_manager.findfont(default), "DejaVu Sans"), *installed]:
        try:
            if letters <= font_manager.get_font(file).get_charmap().keys():
                return name
        except (OSError, RuntimeError):  # a font that cannot be read is none
            continue
    return None
