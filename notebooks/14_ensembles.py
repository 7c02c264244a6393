# %% [markdown]
# # 14. Ensembles and accelerators: one function, many machines
#
# A training step in seqjax is a pure function from a state and a batch to a new state. Pure functions
# can be **transformed**. `jax.vmap` turns the step of one network into the step of many: other seeds,
# other learning rates, trained side by side in one compiled program. And the program is compiled for
# whatever machine there is.
#
# **The question.** Which learning rate should one take, and is the difference larger than luck? And
# is a committee of five networks better than its members?

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
# Nine men say two Japanese vowels, again and again: twelve numbers a step, seven to twenty-nine steps
# (Kudo et al., 1999). Who is speaking?

# %%
known, unseen = sj.data.japanese_vowels()
print(known.source)
print(f"{len(known.series)} utterances to learn from, {len(unseen.series)} held out")
print("the first step of the first one:", " ".join(f"{number:.2f}" for number in known.series[0][0]))


def as_batch(utterances):
    inputs, lengths = sj.data.pad([np.asarray(sequence, np.float32) for sequence in utterances.series], 29)
    return sj.Batch(inputs, np.asarray(utterances.labels, np.int32), lengths=lengths)


batch, held_out = as_batch(known), as_batch(unseen)

# %% [markdown]
# ## Five seeds times three learning rates
#
# `inject_hyperparams` puts the learning rate into the state, where `vmap` can reach it. Fifteen
# networks, one compilation.

# %%
task = sj.tasks.many_to_one(sj.gru(16), sj.heads.categorical(9), pooling="mean")
RATES, SEEDS, STEPS = (3e-3, 3e-2, 3e-1), 5, 100


def optimizer(learning_rate):
    return optax.inject_hyperparams(optax.adam)(learning_rate=learning_rate)


def member(key, learning_rate):
    return sj.training.init_state(key, task, optimizer(learning_rate), input_size=12)


keys = jax.random.split(jax.random.key(0), SEEDS)
members = jax.vmap(jax.vmap(member, in_axes=(0, None)), in_axes=(None, 0))  # rates, then seeds
states = members(keys, jnp.array(RATES))

one_step = sj.training.make_step(task.loss, optimizer(0.0))  # its own rate is not read
all_steps = jax.vmap(jax.vmap(one_step, in_axes=(0, None)), in_axes=(0, None))
fit = sj.training.fit(states, all_steps, [batch] * STEPS, log_every=50)
losses = np.asarray(fit.history["loss"])  # [steps, rates, seeds]


def probabilities(params):
    return task.predict(params, held_out.inputs, lengths=held_out.lengths)[1].probabilities


shares = jax.jit(jax.vmap(jax.vmap(probabilities)))(fit.state.params)  # [rates, seeds, utterances, speakers]
alone = (shares.argmax(-1) == held_out.targets).mean(-1)  # [rates, seeds]
together = (shares.mean(axis=1).argmax(-1) == held_out.targets).mean(-1)  # [rates]
for row, rate in enumerate(RATES):
    print(
        f"learning rate {rate}: members {alone[row].min():.1%} to {alone[row].max():.1%}, "
        f"median {jnp.median(alone[row]):.1%}; together {together[row]:.1%}"
    )

# %%
_, (left, right) = plt.subplots(1, 2, figsize=(11.5, 3.6), width_ratios=(1.5, 1), layout="constrained")
curves = {f"rate {rate}": losses[:, row].T for row, rate in enumerate(RATES)}
plot.learning_curves(curves, np.arange(1, STEPS + 1), axes=left)
left.set(ylabel="cross-entropy", yscale="log")
for row in range(len(RATES)):
    right.plot(np.full(SEEDS, row), alone[row], "o", color=plot.COLOURS[row], alpha=0.5)
    right.plot(row, together[row], "*", color="black", markersize=13, label="all five" if row == 0 else None)
right.set_xticks(range(len(RATES)), [f"rate {rate}" for rate in RATES])
right.set_ylabel("accuracy, held out")
right.legend(frameon=False, loc="lower center")

# %% [markdown]
# ## The same as one at a time
#
# Nothing was approximated. Train one of the fifteen by itself, and its losses are the same.

# %%
single = member(keys[3], RATES[1])
alone_fit = sj.training.fit(single, one_step, [batch] * 30, log_every=30)
apart = float(np.abs(np.asarray(alone_fit.history["loss"]) - losses[:30, 1, 3]).max())
print(f"largest difference of the losses over 30 steps: {apart:.1e}")

# %% [markdown]
# ## Accelerators
#
# The step knows nothing of the machine that it runs on. The same function can be lowered for a GPU or
# a TPU, here and now, on a machine that has none.

# %%
traced = jax.jit(one_step).trace(single, batch)
for platform in ("cpu", "cuda", "tpu"):
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    print(f"{platform:5} {len(program.splitlines()):,} lines of StableHLO")

# %% [markdown]
# ## Conclusion

# %%
best = int(jnp.argmax(alone.min(axis=1)))  # good whatever the seed: the largest rate has bad luck too
committee, typical = float(together[best]), float(jnp.median(alone[best]))
print(f"take the rate {RATES[best]}: a committee of five {committee:.1%}, its median member {typical:.1%}")
assert typical > 0.85
assert committee >= typical
assert apart < 1e-3
assert all(traced.lower(lowering_platforms=(platform,)).as_text() for platform in ("cuda", "tpu"))
