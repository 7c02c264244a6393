"""Edit distances against all that edits reach."""

import itertools

import pytest

from seqjax.recipes.scores.edit_distances import edit_distance, error_rates


def neighbours(word):
    """What one edit makes of a word."""
    for place in range(len(word) + 1):
        yield from (word[:place] + letter + word[place:] for letter in "ab")
        yield from (word[:place] + letter + word[place + 1 :] for letter in ("", "a", "b"))


def test_the_edit_distance_is_the_least_number_of_edits():
    words = ["".join(letters) for size in range(4) for letters in itertools.product("ab", repeat=size)]
    for word in words:
        reached, distance, edge = {word: 0}, 0, {word}
        while not reached.keys() >= set(words):
            distance += 1
            edge = {other for each in edge for other in neighbours(each)} - reached.keys()
            reached |= dict.fromkeys(edge, distance)
        assert [edit_distance(word, other) for other in words] == [reached[other] for other in words]


def test_error_rates_take_the_closest_reference_and_its_length():
    answers = ["abc", "ab", "x"]
    references = [["abd", "abcde"], ["zzzz", "ab"], ["yz"]]
    assert error_rates(answers, references) == (
        pytest.approx((1 + 0 + 2) / (3 + 2 + 2)),
        pytest.approx(2 / 3),
    )
    with pytest.raises(ValueError, match="answers has 0 entries"):
        error_rates([], [])
