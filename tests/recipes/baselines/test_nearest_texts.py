"""What is looked up."""

import pytest

from seqjax.recipes.baselines.nearest_texts import nearest


def test_what_is_nearest_shares_most_and_the_rarest_words():
    texts = ["the big red light", "the light is on", "the door is open", "zebra"]
    assert nearest(["the light is on", "a big red door", "the zebra", "nothing of it"], texts) == [
        1,
        0,
        3,
        0,
    ]
    # By hand: w(a) = log 3, w(b) = log 2; a b shares log 3 + log 2 with itself, and the first of equals wins.
    assert nearest(["a", "b", "b a", ""], ["b", "a b", "b"][:2]) == [1, 0, 1, 0]
    with pytest.raises(ValueError, match="texts is empty"):
        nearest(["a"], [])
