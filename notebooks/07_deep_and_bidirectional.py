# %% [markdown]
# # 7. Deep and bidirectional networks: the magic e
#
# A recurrent network reads from left to right: its answer at step $t$ knows $x_1 \dots x_t$. Often
# the truth lies ahead. A **bidirectional** network has a second one that reads from right to left,
# and joins both hidden vectors,
#
# $$y_t = [\overrightarrow{h}_t, \overleftarrow{h}_t] ,$$
#
# and a **deep** one feeds the outputs of one layer to the next.
#
# **The question.** How does one say the *a* in *rat* and in *rate*? The letter that decides comes
# after it.

# %%
import re

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import seqjax as sj
from seqjax import plot

# %% [markdown]
# ## The data
#
# Words of one syllable from the CMU Pronouncing Dictionary: consonants, one vowel letter, consonants,
# and at the end perhaps an *e* that nobody says. What is asked is the sound of the vowel letter, at
# the very step at which it is read.

# %%
found = sj.data.pronunciation()
print(found.source)
VOWELS = ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"]
words, places, sounds = [], [], []
for word, ways in zip(found.words, found.phonemes, strict=True):
    spelled = re.fullmatch(r"([^aeiouy']+)[aiou][^aeiouy']+e?", word)
    spoken = [phoneme for phoneme in ways[0] if phoneme in VOWELS]
    if spelled and len(spoken) == 1:
        words.append(word)
        places.append(len(spelled[1]))
        sounds.append(VOWELS.index(spoken[0]))
places, sounds = np.array(places), np.array(sounds)
for word in ("hat", "hate", "rid", "ride"):
    row = words.index(word)
    print(f"{word:5} the {word[places[row]]} is {VOWELS[sounds[row]]}")
print(f"{len(words):,} words")

# %%
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def batch_of(rows):
    """Letters `[T, B]`; only the vowel's step has a weight, and its sound as target."""
    letters, lengths = sj.data.pad(
        [[1 + ALPHABET.index(letter) for letter in words[row]] for row in rows], 12
    )
    here = np.arange(12)[:, None] == places[rows]
    return sj.Batch(
        letters, np.where(here, sounds[rows], 0), lengths=lengths, weights=here.astype(np.float32)
    )


order = sj.data.permutation(len(words), 0)
known, unseen = order[: int(0.8 * len(words))], order[int(0.8 * len(words)) :]
held_out = batch_of(unseen)


def batches(epoch):
    shuffled = known[sj.data.permutation(len(known), 1, epoch)]
    return (batch_of(shuffled[start : start + 256]) for start in range(0, len(known) - 255, 256))


# %% [markdown]
# ## Three networks
#
# All put out 48 features a step.

# %%
networks = {
    "forward": sj.stack(sj.embed(27, 16), sj.gru(48)),
    "forward, two layers": sj.stack(sj.embed(27, 16), sj.gru(48), sj.gru(48)),
    "bidirectional": sj.stack(sj.embed(27, 16), sj.bidirectional(sj.gru(24))),
}
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))
curves, scores, predictions = {}, {}, {}
for name, network in networks.items():
    task = sj.tasks.synced(network, sj.heads.categorical(len(VOWELS)))
    state = sj.training.init_state(jax.random.key(0), task, optimizer, 1)
    evaluate = sj.training.make_evaluation(task.loss)
    fit = sj.training.fit(
        state,
        sj.training.make_step(task.loss, optimizer),
        batches,
        epochs=8,
        validate=lambda params, evaluate=evaluate: evaluate(params, [held_out]),
    )
    curves[name] = fit.validation["accuracy"]
    scores[name] = float(fit.validation["accuracy"][-1])
    predictions[name] = task.predict(fit.state.params, held_out.inputs, lengths=held_out.lengths)[1]
    print(f"{name:20} {scores[name]:.1%} of the vowels held out are right")

# %% [markdown]
# What could a network that reads forward do at best? It knows the letters up to the vowel. The most
# frequent sound of each vowel letter is the baseline that needs no network.

# %%
letters = np.array([words[row][places[row]] for row in range(len(words))])
usual = {letter: np.bincount(sounds[known][letters[known] == letter]).argmax() for letter in "aiou"}
baseline = float(
    np.mean([usual[letter] == sound for letter, sound in zip(letters[unseen], sounds[unseen], strict=True)])
)
print(f"the usual sound of each letter: {baseline:.1%}")

# %%
_, (left, right) = plt.subplots(1, 2, figsize=(12, 3.6), width_ratios=(1, 1.2), layout="constrained")
plot.learning_curves(curves, np.arange(1, 9), axes=left)
left.axhline(baseline, color="0.5", linewidth=1, linestyle=":")
left.set(xlabel="pass over the words", ylabel="accuracy, held out")

pairs = [
    row for row in unseen if words[row] + "e" in words or (words[row][:-1] in words and words[row][-1] == "e")
]
shown = sorted(pairs, key=lambda row: words[row])[:14]
columns = [int(np.flatnonzero(unseen == row)[0]) for row in shown]
position = places[shown]
reads_ahead = {"forward": [], "bidirectional": []}
for name, certain in reads_ahead.items():
    for column, row, place in zip(columns, shown, position, strict=True):
        certain.append(float(predictions[name].probabilities[place, column, sounds[row]]))
where = np.arange(len(shown))
right.bar(
    where - 0.2, reads_ahead["forward"], 0.4, color="white", edgecolor="black", hatch="///", label="forward"
)
right.bar(where + 0.2, reads_ahead["bidirectional"], 0.4, color=plot.COLOURS[0], label="bidirectional")
right.set_xticks(where, [words[row] for row in shown], rotation=90)
right.set_ylabel("probability of the true sound")
plot.legend(right)

# %% [markdown]
# ## Conclusion
#
# Reading ahead is worth far more here than another layer: depth cannot find what has not been read
# yet.

# %%
ahead = scores["bidirectional"] - scores["forward"]
deeper = scores["forward, two layers"] - scores["forward"]
print(f"reading ahead: {100 * ahead:+.1f} points; a second layer: {100 * deeper:+.1f} points")
assert scores["bidirectional"] > scores["forward"] + 0.1
assert abs(deeper) < ahead / 2
assert scores["forward"] > baseline - 0.05
