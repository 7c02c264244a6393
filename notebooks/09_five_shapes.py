# %% [markdown]
# # 9. Five shapes of problems, one set of numbers
#
# Almost everything one does with sequences has one of five shapes:
#
# | | one output | many outputs |
# | --- | --- | --- |
# | **one input** | one to one: classify a picture | one to many: describe a picture |
# | **many inputs** | many to one: judge a sentence | many to many: translate a sentence |
#
# and the fifth, **synced**: one output for each input, such as the part of speech of every word. A
# seqjax *task* is a network and a head, joined in one of these shapes; the loss, the prediction,
# padding and weights follow.
#
# **The question.** Can the same data be asked all five? Numbers can: `7` is also `VII`.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import seqjax as sj
from seqjax import plot
from seqjax.tasks import many_to_many, many_to_one, one_to_many, one_to_one, synced

# %% [markdown]
# ## The data
#
# The numbers from 1 to 999 as digits and in Roman numerals. A fifth of them is held out.

# %%
VALUES = ((900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"))
VALUES += ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))


def roman(number):
    letters = ""
    for value, piece in VALUES:
        count, number = divmod(number, value)
        letters += count * piece
    return letters


numbers = sj.data.permutation(999, 0) + 1
known, unseen = numbers[:800], numbers[800:]
print({int(number): roman(number) for number in known[:6]})

END, START = 0, 1
LETTERS = {letter: token for token, letter in enumerate("IVXLCDM", 2)}


def numerals(some, end=()):
    """Roman numerals as tokens `[T, B]`, and their lengths `[B]`."""
    return sj.data.pad([[*(LETTERS[letter] for letter in roman(number)), *end] for number in some], 13)


def digits(some):
    """`[B, 30]`: hundreds, tens and ones, side by side, one of ten each."""
    tens = np.stack([some // 100, some // 10 % 10, some % 10], axis=1)
    return np.eye(10, dtype=np.float32)[tens].reshape(len(some), 30)


# %% [markdown]
# ## One training for all
#
# For each shape we say how numbers become a batch. The rest is the same five times.


# %%
def train(task, as_batch, epochs, input_size=1):
    steps = epochs * (len(known) // 100)
    schedule = optax.cosine_decay_schedule(1e-2, steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))

    def batches(epoch):
        order = known[sj.data.permutation(len(known), 1, epoch)]
        return (as_batch(order[start : start + 100]) for start in range(0, len(order), 100))

    state = sj.training.init_state(jax.random.key(0), task, optimizer, input_size)
    step = sj.training.make_step(task.loss, optimizer)
    return sj.training.fit(state, step, batches, epochs=epochs, log_every=100)


fits, scores = {}, {}

# %% [markdown]
# **One to one**: the digits of a number, side by side and without time; is there a V in its numeral? A
# feed-forward network will do.


# %%
def digits_to_class(some):
    return sj.Batch(digits(some), np.array(["V" in roman(number) for number in some], np.int32))


task = one_to_one(sj.dense(16, jnp.tanh), sj.heads.categorical(2))
fits["one to one"] = fit = train(task, digits_to_class, epochs=15, input_size=30)
test = digits_to_class(unseen)
scores["one to one"] = float(np.mean(task.predict(fit.best, test.inputs)[1].labels == test.targets))

# %% [markdown]
# **Many to one**: read a numeral letter by letter, then say its hundreds.


# %%
def letters_to_class(some):
    letters, lengths = numerals(some)
    return sj.Batch(letters, (some // 100).astype(np.int32), lengths=lengths)


task = many_to_one(sj.stack(sj.embed(9, 8), sj.gru(24)), sj.heads.categorical(10))
fits["many to one"] = fit = train(task, letters_to_class, epochs=25)
test = letters_to_class(unseen)
answers = task.predict(fit.best, test.inputs, lengths=test.lengths)[1].labels
scores["many to one"] = float(np.mean(answers == test.targets))

# %% [markdown]
# **Synced**: does each letter add or subtract? The `I` of `VI` adds, that of `IV` subtracts. To know, one
# must see the letter that *follows*: the network is bidirectional.

# %%
VALUE = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def letters_to_signs(some):
    letters, lengths = numerals(some)
    values = [[VALUE[letter] for letter in roman(number)] for number in some]
    signs = [[int(a < b) for a, b in zip(row, [*row[1:], 0], strict=True)] for row in values]
    return sj.Batch(letters, sj.data.pad(signs, 13)[0], lengths=lengths)


task = synced(sj.stack(sj.embed(9, 8), sj.bidirectional(sj.gru(12))), sj.heads.categorical(2))
fits["synced"] = fit = train(task, letters_to_signs, epochs=30)
test = letters_to_signs(unseen)
answers = task.predict(fit.best, test.inputs, lengths=test.lengths)[1].labels
valid = np.arange(13)[:, None] < test.lengths
scores["synced"] = float(np.mean((answers == test.targets)[valid]))
print("the letters of CDXLIX that subtract:", letters_to_signs(np.array([449])).targets[:6, 0].tolist())

# %% [markdown]
# **One to many**: all digits at once, without time, and the numeral comes out letter by letter. The
# decoder reads what was written so far; while it learns, it is given the truth (*teacher forcing*).
# Whether it can really write, `generate` shows, which gives it nothing but its own letters.


# %%
def digits_to_letters(some):
    written, lengths = numerals(some, end=(END,))
    return sj.Batch(digits(some), written, target_lengths=lengths)


def exact(written, test):
    """How many numerals are written without a mistake."""
    after = np.arange(13)[:, None] >= test.target_lengths
    return float(np.mean(((np.asarray(written) == test.targets) | after).all(axis=0)))


writer = {"embedding": sj.embed(9, 8), "start": START}
task = one_to_many(sj.dense(48, jnp.tanh), sj.gru(48), sj.heads.categorical(9), **writer)
fits["one to many"] = fit = train(task, digits_to_letters, epochs=40, input_size=30)
test = digits_to_letters(unseen)
written = sj.decoding.generate(task, fit.best, test.inputs, num_steps=13, end=END)
scores["one to many"] = exact(written, test)

# %% [markdown]
# **Many to many**: one digit at a time in, letters out. `8` becomes `VIII`, `10` becomes `X`: the two
# sequences have lengths of their own.


# %%
def figures_to_letters(some):
    figures, figure_lengths = sj.data.pad([[int(figure) for figure in str(number)] for number in some], 3)
    written, lengths = numerals(some, end=(END,))
    return sj.Batch(figures, written, lengths=figure_lengths, target_lengths=lengths)


reader = sj.stack(sj.embed(10, 8), sj.gru(48))
task = many_to_many(reader, sj.gru(48), sj.heads.categorical(9), **writer)
fits["many to many"] = fit = train(task, figures_to_letters, epochs=40)
test = figures_to_letters(unseen)
written = sj.decoding.generate(task, fit.best, test.inputs, lengths=test.lengths, num_steps=13, end=END)
scores["many to many"] = exact(written, test)
for column in range(3):
    text = "".join("IVXLCDM"[token - 2] for token in np.asarray(written[:, column]) if token > 1)
    print(f"{unseen[column]} -> {text}, right: {roman(unseen[column])}")

# %%
_, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), width_ratios=(1.3, 1), layout="constrained")
for number, (name, fit) in enumerate(fits.items()):
    style = {"color": plot.COLOURS[number], "linestyle": plot.LINES[number]}
    left.plot(fit.history["step"], fit.history["loss"], label=name, **style)
left.set(xlabel="step", ylabel="cross-entropy", yscale="log")
left.legend(frameon=False, fontsize="small")
right.barh(list(scores), list(scores.values()), color=plot.COLOURS[0])
right.set(xlabel="right, of what was held out", xlim=(0, 1))
right.invert_yaxis()

# %% [markdown]
# ## Conclusion

# %%
print({name: f"{score:.1%}" for name, score in scores.items()})
assert scores["one to one"] > 0.97
assert scores["many to one"] > 0.95
assert scores["synced"] > 0.99
assert scores["one to many"] > 0.85
assert scores["many to many"] > 0.85
