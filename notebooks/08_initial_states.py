# %% [markdown]
# # 8. Where does a network start? Learned initial states
#
# The recursion $h_t = f(x_t, h_{t-1})$ says nothing about $h_0$. Most libraries take zeros. It could
# as well be **learned**: the gradient of the loss reaches $h_0$ like any weight, through all of time,
# and in seqjax that is the default.
#
# **The question.** When does it matter? We need a task where it should, a task where it should not,
# and no wishful thinking.

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import seqjax as sj
from seqjax import plot

SEEDS = 8

# %% [markdown]
# ## The same training for every network
#
# Eight networks of each kind, trained at once by `vmap`, so that we see what is luck and what is not.


# %%
def train(task, input_size, batches, learning_rate=1e-2):
    """The losses of all steps `[steps, seeds]`, and the params of all seeds."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(learning_rate))
    keys = jax.random.split(jax.random.key(0), SEEDS)
    states = jax.vmap(lambda key: sj.training.init_state(key, task, optimizer, input_size))(keys)
    step = jax.vmap(sj.training.make_step(task.loss, optimizer), in_axes=(0, None))
    fit = sj.training.fit(states, step, batches, log_every=100)
    return np.asarray(fit.history["loss"]), fit.state.params


starts = ("learned", "zeros")

# %% [markdown]
# ## A task where it matters: drawing from memory
#
# A network without inputs shall draw a figure, point by point: a curve that begins in the middle of a
# movement. All it has is its state. Whatever the first point needs, it must already know at the
# start.

# %%
angle = np.linspace(0.7, 0.7 + 2 * np.pi, 24, endpoint=False)
figure_eight = np.stack([np.cos(angle), np.sin(2 * angle)], axis=-1).astype(np.float32)  # [T, 2]
print("the first points:", np.round(figure_eight[:3].astype(float), 2).tolist())
drawing = sj.Batch(np.zeros((24, 1, 1), np.float32), figure_eight[:, None])

drawn, curves = {}, {}
for start in starts:
    task = sj.tasks.synced(sj.elman(8, initial_carry=start), sj.heads.gaussian(2, scale=1.0))
    losses, params = train(task, 1, [drawing] * 1000)
    prediction = jax.vmap(task.predict, in_axes=(0, None))(params, drawing.inputs)[1]
    drawn[start] = np.asarray(prediction.mean)[:, :, 0]  # [seeds, T, 2]
    curves[start] = ((drawn[start] - figure_eight) ** 2).mean(axis=(0, 2))
    begin = curves[start][:3].mean()
    print(f"{start:8} mean squared error {curves[start].mean():.4f}, of the first three points {begin:.4f}")

# %% [markdown]
# ## A task where it does not: two switches
#
# Pulses set two switches on or off, and the network says at each step how they stand. The very first
# step sets both. Whatever the network was thinking before that, it should forget.

# %%
example = sj.data.synthetic.flip_flop(1, 12, seed=0)
for name, switch in (("first switch ", 0), ("second switch", 1)):
    pulses = "".join({1: "+", -1: "-", 0: "."}[int(pulse)] for pulse in example.inputs[:, 0, switch])
    held = "".join(str(int(state)) for state in example.targets[:, 0, switch])
    print(f"{name}  pulses {pulses}  answer {held}")

switched = {}
unseen = sj.data.synthetic.flip_flop(256, 30, seed=10_000)
for start in starts:
    task = sj.tasks.synced(sj.gru(8, initial_carry=start), sj.heads.bernoulli(2))
    flips = [sj.data.synthetic.flip_flop(32, 30, seed=number) for number in range(400)]
    losses, params = train(task, 2, flips)
    switched[start] = np.asarray(jax.vmap(task.loss, in_axes=(0, None))(params, unseen)[0])
    print(f"{start:8} held-out cross-entropy {np.median(switched[start]):.5f} (median of {SEEDS})")

# %%
_, (left, middle, right) = plt.subplots(
    1, 3, figsize=(12, 3.6), width_ratios=(1, 1.2, 0.8), layout="constrained"
)
left.plot(*figure_eight.T, "o", color="0.7", markersize=4, label="to draw")
for number, start in enumerate(starts):
    style = {"color": plot.COLOURS[number], "linestyle": plot.LINES[number], "marker": plot.MARKERS[number]}
    typical = ((drawn[start] - figure_eight) ** 2).mean(axis=(1, 2)).argsort()[SEEDS // 2]
    left.plot(*drawn[start][typical].T, **style, markersize=2.5, linewidth=1, label=start)
    middle.plot(np.arange(1, 25), curves[start], **style, markersize=3, label=start)
    right.plot(
        np.full(SEEDS, number), switched[start], plot.MARKERS[number], color=plot.COLOURS[number], alpha=0.6
    )
left.set(title="from memory", aspect="equal", xticks=[], yticks=[])
left.legend(frameon=False, fontsize="small")
middle.set(xlabel="point", ylabel="mean squared error", yscale="log", title="drawing: errors, mean of 8")
middle.legend(frameon=False)
right.set(xticks=[0, 1], xticklabels=starts, ylabel="cross-entropy", title="switches: 8 networks each")
right.set_xlim(-0.5, 1.5)
right.set_ylim(0)

# %% [markdown]
# ## Conclusion
#
# Where the first answers depend on nothing but the state, a learned start wins, and most of the
# difference is at the first points. Where the inputs set the state, it makes no difference. It costs
# $H$ numbers; whoever is not sure can leave it on.

# %%
drawing_ratio = curves["zeros"].mean() / curves["learned"].mean()
first_ratio = curves["zeros"][:3].mean() / curves["learned"][:3].mean()
switch_ratio = np.median(switched["zeros"]) / np.median(switched["learned"])
print("zeros against learned:")
print(f"drawing {drawing_ratio:.1f} times the error, at its first points {first_ratio:.1f} times")
print(f"switches {switch_ratio:.2f} times the loss")
assert first_ratio > 2
assert drawing_ratio > 1.5
assert max(switched["zeros"].max(), switched["learned"].max()) < 0.05, (
    "all sixteen networks hold their switches"
)
