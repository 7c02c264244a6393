"""Sentences are joined on their keys, each source once; what is no sentence is left out."""

from __future__ import annotations

import json

import pytest

import seqjax.data as sjd
from seqjax.data import interface_sentences
from seqjax.data.interface_sentences import flatten, select_pairs


def files(english, italian, component="light"):
    """The files of one component; the languages that are not looked at hold nothing."""
    trees = {language: {} for language in ("fr", "es", "de")} | {"en": english, "it": italian}
    return {
        f"homeassistant/components/{component}/translations/{language}.json": json.dumps(tree).encode()
        for language, tree in trees.items()
    }


def test_pairs_are_joined_on_component_and_keys(offer):
    light = files(
        {"state": {"on": "The light is on", "off": "The light is off", "x": "Not translated at all"}},
        {"state": {"off": "La luce è spenta", "on": "La luce è accesa", "y": "Qui senza una fonte"}},
    )
    lamp = files({"state": {"on": "The lamp is on"}}, {"state": {"on": "La lampada è accesa"}}, "lamp")
    offer(interface_sentences, light | lamp)
    pairs = sjd.translation("it")
    assert list(zip(pairs.sources, pairs.targets, strict=True)) == [
        ("The lamp is on", "La lampada è accesa"),
        ("The light is on", "La luce è accesa"),
        ("The light is off", "La luce è spenta"),
    ]
    assert pairs.languages == ("en", "it")
    assert sjd.translation("de").sources == []


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Turn on", "Accendi la luce ora"),
        ("Turn it on", "Accendi ora"),
        ("one two three " * 7, "uno due tre"),
        ("Set the {name} on", "Accendi la luce ora"),
        ("Turn it on", "Accendi la <b>luce</b> ora"),
        ("Turn [it] on", "Accendi la luce ora"),
        ("See https://example.org for more", "Vedi il sito per altro"),
        ("See www.example.org for more", "Vedi il sito per altro"),
        ("Home Assistant Core", "home assistant core!"),
        ("! ? .", "Accendi la luce ora"),
    ],
)
def test_what_is_no_pair_of_sentences_is_left_out(source, target):
    assert select_pairs([(source, target)]) == []


def test_sources_with_the_same_words_count_once():
    pairs = [
        ("Turn  it\n on", "Accendi questo ora"),
        ("turn it on.", "Accendilo adesso dai"),
        ("Turn it off", "Spegni questo ora"),
        ("turn it on.", "Accendilo adesso dai"),
    ]
    # The most frequent pair stands where its words first occurred.
    assert select_pairs(pairs) == [
        ("turn it on.", "Accendilo adesso dai"),
        ("Turn it off", "Spegni questo ora"),
    ]
    assert select_pairs(pairs[:1]) == [("Turn it on", "Accendi questo ora")]


def test_other_values_than_strings_are_named():
    with pytest.raises(sjd.DataError, match=r"en\.json holds 3 at 'a\.b', expected strings and objects only"):
        list(flatten({"a": {"b": 3}}, "en.json"))


@pytest.mark.parametrize("content", [b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000])
def test_files_of_another_form_are_named(offer, content):
    broken = files({}, {}) | {"homeassistant/components/light/translations/it.json": content}
    offer(interface_sentences, broken)
    with pytest.raises(sjd.DataError, match=r"light/translations/it\.json"):
        sjd.translation("it")
