"""Words and their letters as tokens, and the layer that reads them, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import data
from seqjax.recipes.models.spelling import folded, learn_spelling, spelled


def test_spelling_folds_words_and_keeps_letters():
    spelling = learn_spelling([["Irmak", "ırmak", "İki"]], min_count=2, reach=4)
    assert folded("İIiı") == "iıiı"
    assert spelling.words.symbols == ("ırmak",)
    first, second = spelling.encode([["IRMAK", "İki"]])[0]
    assert first[0] == 4
    assert second[0] == data.Vocabulary.unknown
    letters = spelling.characters
    assert first[1:].tolist() == letters.encode("RMAK")
    assert second.tolist()[1:] == [*letters.encode("İki"), data.Vocabulary.padding]


def test_a_spelled_word_is_its_vector_beside_both_ends_of_its_letters():
    layer = spelled(sj.embed(9, 3), sj.embed(7, 2), unknown_rate=0.999)
    params = layer.init(jax.random.key(0), 4)
    xs = jnp.array([[[4, 5, 6, 2], [8, 3, 0, 0]], [[5, 2, 0, 0], [99, 99, 99, 99]]])
    unroll = jax.jit(lambda xs, key: layer.unroll(params, xs, lengths=jnp.array([2, 1]), key=key)[1])
    ys = unroll(xs, None)
    words, letters = params.words.table, params.characters.table
    expected = [[[4, 2, 5], [8, 3, 3]], [[5, 2, 2], None]]
    for step, row in ((0, 0), (0, 1), (1, 0)):
        word, last, first = expected[step][row]
        want = jnp.concatenate([words[word], letters[last], letters[first]])
        np.testing.assert_array_equal(ys[step, row], want)
    np.testing.assert_array_equal(ys[1, 1], 0)
    # In training at this rate no word is known, and its letters still are.
    hidden = unroll(xs, jax.random.key(1))
    np.testing.assert_array_equal(hidden[:, 0, :3], jnp.stack([words[1]] * 2))
    np.testing.assert_array_equal(hidden[..., 3:], ys[..., 3:])
    with pytest.raises(TypeError, match="expected integer tokens"):
        layer.unroll(params, xs.astype(float))
