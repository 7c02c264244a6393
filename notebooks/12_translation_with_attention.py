# %% [markdown]
# # 12. Translation with attention: drei und vierzig
#
# An encoder reads a sentence, a decoder writes its translation. Without more, everything has to pass
# through one vector, the encoder's last state. **Attention** (Bahdanau et al., 2015) lets each step
# of the decoder look back at *all* steps of the encoder: it scores them, turns the scores into
# shares, and reads the mean,
#
# $$a_{ts} = \operatorname{softmax}_s \, v^\top \tanh(W h_t + U m_s), \qquad
# \text{context}_t = \sum_s a_{ts} m_s .$$
#
# **The question.** English says *forty three*, German *drei und vierzig*, three and forty. Does
# attention find out, from examples alone, that these two words change places?

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import seqjax as sj
from seqjax import plot

# %% [markdown]
# ## The data
#
# Every number from 1 to 9,999 in words, in two languages. We learn from 2,000 of them, and test on
# 1,000 others.

# %%
ENGLISH = """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen""".split()
ENGLISH_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
GERMAN = """ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn
sechzehn siebzehn achtzehn neunzehn""".split()
GERMAN_TENS = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()


def english(number):
    if number >= 1000:
        return [ENGLISH[number // 1000 - 1], "thousand", *english(number % 1000)]
    if number >= 100:
        return [ENGLISH[number // 100 - 1], "hundred", *english(number % 100)]
    if number >= 20:
        return [ENGLISH_TENS[number // 10 - 2], *english(number % 10)]
    return [ENGLISH[number - 1]] if number else []


def german(number):
    if number >= 1000:
        return [GERMAN[number // 1000 - 1], "tausend", *german(number % 1000)]
    if number >= 100:
        return [GERMAN[number // 100 - 1], "hundert", *german(number % 100)]
    if number >= 20:
        unit = [GERMAN[number % 10 - 1], "und"] if number % 10 else []
        return [*unit, GERMAN_TENS[number // 10 - 2]]
    if number == 1:
        return ["eins"]
    return [GERMAN[number - 1]] if number else []


numbers = sj.data.permutation(9999, 0) + 1
known, unseen = numbers[:2000], numbers[2000:3000]
print(" ".join(english(7243)), "->", "".join(german(7243)))

sources = sj.data.words(" ".join(english(number)) for number in known)
targets = sj.data.words(" ".join(german(number)) for number in known)


def as_batch(some):
    read, lengths = sj.data.pad([sources.encode(" ".join(english(n))) for n in some], 7)
    written, written_lengths = sj.data.pad(
        [[*targets.encode(" ".join(german(n))), targets.end] for n in some], 9
    )
    return sj.Batch(read, written, lengths=lengths, target_lengths=written_lengths)


# %% [markdown]
# ## With and without
#
# Two networks of the same size. One looks back, the other has only what the encoder's last state
# carries over.


# %%
def translator(attention, bridge):
    return sj.tasks.many_to_many(
        sj.stack(sj.embed(len(sources), 24), sj.bidirectional(sj.gru(24))),
        sj.gru(48),
        sj.heads.categorical(len(targets)),
        embedding=sj.embed(len(targets), 24),
        start=targets.start,
        bridge=bridge,
        attention=attention,
    )


held_out = as_batch(unseen)
wanted = np.asarray(held_out.targets)


def exact(task, params):
    """How many numbers are translated without a mistake, by the network on its own."""
    written = sj.decoding.generate(
        task, params, held_out.inputs, lengths=held_out.lengths, num_steps=9, end=targets.end
    )
    valid = np.arange(9)[:, None] < held_out.target_lengths
    return float(np.mean(((np.asarray(written) == wanted) | ~valid).all(axis=0)))


everything = as_batch(known)


def batches(epoch):
    order = sj.data.permutation(len(known), 1, epoch)
    for start in range(0, len(order) - 99, 100):
        rows = order[start : start + 100]
        yield jax.tree.map(lambda leaf, rows=rows: leaf[..., rows], everything)


EPOCHS = 12
optimizer = optax.chain(
    optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(1e-2, 20 * EPOCHS))
)
tasks = {"with attention": translator(sj.attention.additive(24), None), "without": translator(None, "affine")}
fits, scores = {}, {}
for name, task in tasks.items():
    state = sj.training.init_state(jax.random.key(0), task, optimizer, 1)
    fits[name] = sj.training.fit(state, sj.training.make_step(task.loss, optimizer), batches, epochs=EPOCHS)
    scores[name] = exact(task, fits[name].state.params)
    print(f"{name:15} {scores[name]:.1%} of {len(unseen)} numbers are right to the last word")

# %% [markdown]
# ## Where does it look?
#
# Rows are what it writes, columns what it reads; black is where it looks.

# %%
task, params = tasks["with attention"], fits["with attention"].state.params
weights = np.asarray(
    task.attention_weights(
        params,
        held_out.inputs,
        held_out.targets,
        lengths=held_out.lengths,
        target_lengths=held_out.target_lengths,
    )
)  # [T', S, B]
crossing = [
    column for column, n in enumerate(unseen) if n > 1000 and n % 100 > 20 and n % 10 > 1 and n // 100 % 10
]
_, panels = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
for axes, column in zip(panels, crossing[:3], strict=True):
    read, written = english(unseen[column]), [*german(unseen[column]), "(end)"]
    plot.attention(weights[: len(written), : len(read), column], written, read, axes=axes)
    axes.set_xlabel(str(unseen[column]))

# %% [markdown]
# The staircase goes straight down, and then the last two steps cross: *drei* looks at *three*, which
# comes last, and *vierzig* back at *forty*. (A bidirectional encoder may also keep at one word what
# it has read at its neighbour, so that not every stair is where we would put it.)
#
# How often does it look at the unit's own word, when it writes the unit?

# %%
looks = []
for column in crossing:
    read, written = english(unseen[column]), german(unseen[column])
    unit = len(written) - 3  # unit, "und", ten
    looks.append(weights[unit, : len(read), column].argmax() == len(read) - 1)
print(f"of {len(crossing)} numbers that cross, {np.mean(looks):.0%} look at the last word for the unit")

# %% [markdown]
# ## Conclusion

# %%
print({name: f"{score:.1%}" for name, score in scores.items()})
assert scores["with attention"] > 0.95
assert scores["with attention"] > scores["without"]
assert np.mean(looks) > 0.8
