# %% [markdown]
# # 10. Sentiment: sequences that are not equally long
#
# Tweets have from one to thirty words. An array has one length. The usual way out is **padding**, and
# it is a source of quiet mistakes: a mean over steps that are not there, a reversed sequence that
# begins with zeros, a last step that is padding. In seqjax, every function takes `lengths`, and what
# stands past them is not read, whatever it is.
#
# **The question.** Is that true? And can a small recurrent network, in seconds, tell glad tweets from
# sad ones better than guessing?

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import seqjax as sj
from seqjax import plot

# %% [markdown]
# ## The data
#
# 4,196 tweets, each rated by twenty people (Hutto & Gilbert, 2014). Equal texts stay on one side of
# the split.

# %%
tweets = sj.data.tweets()
print(tweets.source)
known, unseen = sj.data.split(tweets, 0.2)
for row in (0, 5, 9):
    print(f"{tweets.classes[known.labels[row]]:9}", known.texts[row])

vocabulary = sj.data.words(known.texts, min_count=2)
majority = max(np.mean(unseen.labels), 1 - np.mean(unseen.labels))
print(f"{len(vocabulary):,} words and signs; whoever always says 'positive' is right in {majority:.1%}")

# %% [markdown]
# ## Batches of similar length
#
# Padding everything to 32 words would waste two thirds of the work. `Batches` puts tweets of similar
# length together, in two lengths: two shapes to compile, chosen so that the least is
# padded.

# %%
tokens = [vocabulary.encode(text) for text in known.texts]
batches = sj.data.Batches(tokens, known.labels, batch_size=128, max_buckets=2)
steps = sum(len(row) for row in tokens)
padded = sum(batch.inputs.size for batch in batches.epoch_batches())
whole = batches.buckets[-1] * len(tokens)
print(f"lengths {batches.buckets}: {padded / steps - 1:.0%} of padding; with one, {whole / steps - 1:.0%}")

# %% [markdown]
# ## A network
#
# Words become vectors, a GRU reads them in both directions, and the mean of its outputs over the
# words that are there decides. A fifth of all vectors is dropped while it learns, so that no single
# word is relied upon.

# %%
network = sj.stack(
    sj.embed(len(vocabulary), 32), sj.dropout(0.3), sj.bidirectional(sj.gru(32)), sj.dropout(0.3)
)
task = sj.tasks.many_to_one(network, sj.heads.categorical(2), pooling="mean")
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(5e-3))

held_out = list(
    sj.data.Batches(
        [vocabulary.encode(text) for text in unseen.texts],
        unseen.labels,
        batch_size=len(unseen.texts),
        max_buckets=1,
    ).epoch_batches()
)
evaluate = sj.training.make_evaluation(task.loss)
fit = sj.training.fit(
    sj.training.init_state(jax.random.key(0), task, optimizer, input_size=1),
    sj.training.make_step(task.loss, optimizer),
    batches.epoch_batches,
    epochs=4,
    validate=lambda params: evaluate(params, held_out),
)
accuracy = float(fit.validation["accuracy"][-1])
print("accuracy after each pass:", fit.validation["accuracy"].round(3).tolist())

# %% [markdown]
# ## Word by word
#
# What does it think while it reads? Give it the first one, two, three... words of a sentence: a batch
# of eight prefixes, each with its own length.

# %%
text = "not bad at all , i love it !"
ids = vocabulary.encode(text)
prefixes, lengths = sj.data.pad([ids[: end + 1] for end in range(len(ids))])
glad = task.predict(fit.state.params, prefixes, lengths=lengths)[1].probabilities[:, 1]

_, (left, right) = plt.subplots(1, 2, figsize=(11, 3.3), layout="constrained")
passes = fit.validation["step"] / batches.batches_per_epoch
left.plot(passes, fit.validation["accuracy"], "o-", color=plot.COLOURS[0], label="tweets held out")
left.axhline(majority, color="0.5", linestyle=":", label="always 'positive'")
left.set(xlabel="pass over the tweets", ylabel="accuracy")
left.legend(frameon=False)
right.bar(
    range(len(ids)),
    glad - 0.5,
    bottom=0.5,
    color=[plot.COLOURS[0 if p > 0.5 else 1] for p in glad],
    edgecolor="black",
)
right.axhline(0.5, color="black", linewidth=0.8)
right.set_xticks(range(len(ids)), text.split(), rotation=90)
right.set(ylabel="probability of 'positive'", ylim=(0, 1), title="after each word")

# %% [markdown]
# ## Does padding leak?
#
# The same tweets, once padded to their longest with zeros, once to 64 steps with *random words* after
# their ends. And the gradient: the words in the padding must get none.

# %%
some = [row for row in tokens if row][:32]
labels = np.asarray(known.labels[:32])
short, lengths = sj.data.pad(some)
noise = np.random.default_rng(0).integers(0, len(vocabulary), (64, 32))
noisy = np.where(np.arange(64)[:, None] < lengths, sj.data.pad(some, 64)[0], noise)

gradient = jax.grad(lambda params, inputs: task.loss(params, sj.Batch(inputs, labels, lengths=lengths))[0])
clean, dirty = gradient(fit.state.params, short), gradient(fit.state.params, noisy)
leak = max(
    float(jnp.abs(a - b).max()) for a, b in zip(jax.tree.leaves(clean), jax.tree.leaves(dirty), strict=True)
)
answers = [
    task.predict(fit.state.params, inputs, lengths=lengths)[1].probabilities for inputs in (short, noisy)
]
print(f"answers differ by {jnp.abs(answers[0] - answers[1]).max():.1e}, gradients by {leak:.1e}")

# %% [markdown]
# ## Conclusion

# %%
print(f"accuracy {accuracy:.1%}, always 'positive' {majority:.1%}")
assert accuracy > majority + 0.05
assert jnp.abs(answers[0] - answers[1]).max() < 1e-5, "padding does not leak into answers"
assert leak < 1e-5, "nor into gradients"
