# %% [markdown]
# # 11. Captioning: one picture, many words
#
# A picture has no time. An encoder turns it into a code, and a decoder writes a sentence from it,
# word by word, each time reading the word it has just written (Vinyals et al., 2015):
#
# $$p(w_1 \dots w_n \mid \text{picture}) = \prod_t p(w_t \mid w_1 \dots w_{t-1}, \text{picture}) .$$
#
# While it learns, it reads the *true* words before each one: **teacher forcing**. When it is asked,
# it is on its own.
#
# **The question.** A network has seen a firefighter with light skin and a farmer with dark skin. Can
# it name a farmer with light skin, whom it has never seen?

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import seqjax as sj

# %% [markdown]
# ## The data
#
# Emoji of people, who come in five skin tones each. We hold out *combinations*: every person and
# every tone is known, but not these together.

# %%
SIZE = 18
emoji = sj.data.emoji_captions("en", size=SIZE)
print(emoji.source, "|", emoji.licence)
toned = sj.data.take(
    emoji,
    [
        row
        for row, caption in enumerate(emoji.captions)
        if caption.endswith(" skin tone") and caption.count("skin tone") == 1
    ],
)
known, unseen = sj.data.split_combinations(toned, 0.2)
vocabulary = sj.data.words(known.captions)
print(f"{len(known.captions):,} to learn from, {len(unseen.captions)} held out, {len(vocabulary)} words")
print(f"{known.emoji[0]}  {known.captions[0]}")


def as_batch(captions):
    written, lengths = sj.data.pad(
        [[*vocabulary.encode(text), vocabulary.end] for text in captions.captions], 16
    )
    ink = 1 - captions.pictures.reshape(len(captions.pictures), -1).astype(np.float32) / 255
    return sj.Batch(ink, written, target_lengths=lengths)


# %% [markdown]
# ## Training

# %%
task = sj.tasks.one_to_many(
    sj.dense(128, jax.nn.relu),
    sj.gru(96),
    sj.heads.categorical(len(vocabulary)),
    embedding=sj.embed(len(vocabulary), 32),
    start=vocabulary.start,
    repeat=True,
)
everything, held_out = as_batch(known), as_batch(unseen)


def batches(epoch):
    order = sj.data.permutation(len(known.captions), 0, epoch)
    for start in range(0, len(order) - 63, 64):
        rows = order[start : start + 64]
        yield sj.Batch(
            everything.inputs[rows],
            everything.targets[:, rows],
            target_lengths=everything.target_lengths[rows],
        )


EPOCHS = 30
schedule = optax.cosine_decay_schedule(4e-3, EPOCHS * (len(known.captions) // 64))
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
evaluate = sj.training.make_evaluation(task.loss)
fit = sj.training.fit(
    sj.training.init_state(jax.random.key(0), task, optimizer, input_size=SIZE * SIZE * 3),
    sj.training.make_step(task.loss, optimizer),
    batches,
    epochs=EPOCHS,
    validate=lambda params: evaluate(params, [held_out]),
)
print("cross-entropy, held out:", fit.validation["cross_entropy"][::6].round(3).tolist())

# %% [markdown]
# ## On its own

# %%
tokens = np.asarray(sj.decoding.generate(task, fit.best, held_out.inputs, num_steps=16, end=vocabulary.end))
answers = [vocabulary.decode(tokens[:, row]) for row in range(len(unseen.captions))]
truths = [vocabulary.decode(held_out.targets[:, row]) for row in range(len(unseen.captions))]
exact = np.array([answer == truth for answer, truth in zip(answers, truths, strict=True)])

# %% [markdown]
# A baseline that cannot compose: find the most similar picture that is known, and say its caption. It
# can never be right, because no caption that is held out was ever seen. But it may have the right
# *tone*, or the right *person*.

# %%
squares = (everything.inputs**2).sum(axis=1)
nearest = np.argmin(squares - 2 * held_out.inputs @ everything.inputs.T, axis=1)
copied = [vocabulary.decode(everything.targets[:, row]) for row in nearest]


def person_and_tone(caption):
    words = caption.removesuffix(" skin tone").split()
    tone = next(
        tone
        for tone in ("medium - light", "medium - dark", "light", "medium", "dark")
        if " ".join(words).endswith(tone)
    )
    return " ".join(words).removesuffix(tone).strip(), tone


def shares(captions):
    """How often the person is right, the tone, and both."""
    marks = []
    for caption, truth in zip(captions, truths, strict=True):
        try:
            person, tone = person_and_tone(caption)
        except StopIteration:  # it named no tone
            person, tone = caption, None
        marks.append((person == person_and_tone(truth)[0], tone == person_and_tone(truth)[1]))
    marks = np.array(marks)
    return {"person": marks[:, 0].mean(), "tone": marks[:, 1].mean(), "both": marks.all(axis=1).mean()}


for name, captions in (("network", answers), ("nearest picture", copied)):
    print(f"{name:16}", {key: f"{share:.0%}" for key, share in shares(captions).items()})

# %%
_, panels = plt.subplots(2, 5, figsize=(12, 5.4), layout="constrained")
for axes, row in zip(panels.ravel(), np.linspace(0, len(answers) - 1, 10).astype(int), strict=True):
    axes.imshow(unseen.pictures[row])
    axes.set(xticks=[], yticks=[])
    lines = answers[row].replace(" skin tone", "").replace(": ", ":\n")
    words = lines.split()
    half = (len(words) + 1) // 2
    axes.set_xlabel(" ".join(words[:half]) + "\n" + " ".join(words[half:]), fontsize="small")
    axes.set_title(
        "right" if exact[row] else "wrong", fontsize="medium", fontweight="bold" if exact[row] else "normal"
    )

# %% [markdown]
# ## Conclusion

# %%
network, nearest_picture = shares(answers), shares(copied)
print(f"{network['both']:.0%} of people in a tone never seen on them are named exactly")
assert nearest_picture["both"] == 0, "what was held out cannot be copied"
assert network["both"] > 0.3
