"""Answers of a search do not depend on what stands beside."""

import jax
import pytest

from seqjax.recipes.models import encoder_decoders


@pytest.mark.slow
def test_an_answer_is_the_same_alone_and_among_others():
    options = encoder_decoders.EncoderDecoderOptions(cell="elman", hidden_size=4, embedding_size=3)
    task = encoder_decoders.network(options, 9, 9)
    params = task.init(jax.random.key(1), 1)
    sources = [[5, 6, 7], [8], [], [4, 4]]
    together = encoder_decoders.answers(task, params, sources, options, 4)
    assert encoder_decoders.answers(task, params, [], options, 4) == []
    for source, answer in list(zip(sources, together, strict=True))[:1]:
        (alone,) = encoder_decoders.answers(task, params, [source], options, 4)
        assert alone.tokens == answer.tokens
        assert alone.log_probability == pytest.approx(answer.log_probability, abs=1e-5)
