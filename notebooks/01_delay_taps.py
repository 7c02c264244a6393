# %% [markdown]
# # 1. Memoryless models: how much of the past fits in a window?
#
# The oldest way to model a sequence has no memory at all. It looks at the last $p$ values through
# **delay taps** and predicts the next one, for instance by a weighted sum, a **linear
# autoregression**:
#
# $$y_t = b + a_1 y_{t-1} + a_2 y_{t-2} + \dots + a_p y_{t-p} + \varepsilon_t .$$
#
# Nothing else is carried from one step to the next. Slide the window, forget what fell out of it.
#
# **The question.** How many years back must a window reach to predict next year's sunspots? And what
# can no window do, however well it is trained?

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import seqjax as sj
from seqjax import plot
from seqjax.memoryless import ar

# %% [markdown]
# ## The data
#
# The number of sunspots of each year since 1700. Small numbers vary less than large ones, so that we
# model the square root, and we keep the years from 1921 for the end.

# %%
series = sj.data.sunspots()
print(series.source)
print({int(year): float(spots) for year, spots in zip(series.times[:8], series.values[:8], strict=True)})

ys = jnp.asarray(np.sqrt(series.values), jnp.float32)[:, None]  # [T, 1]
first = int(np.flatnonzero(series.times == 1921)[0])
known, ahead = ys[:first], ys[first:]

# %% [markdown]
# ## One tap, two taps, nine
#
# `ar.fit` finds the coefficients by least squares on the years we know. As a **layer** the same model
# runs over the whole series and says at each step what it expects there, before it sees it.

# %%
orders = (1, 2, 9)
predictions = {}
for order in orders:
    found = ar.fit(known, order)
    layer = ar.layer(order, 1, initial_window="zeros")
    predictions[order] = layer.unroll(found.params, ys)[1]


def error(predicted):
    """The root mean square error in the years held out."""
    return float(jnp.sqrt(jnp.mean((predicted[first:] - ahead) ** 2)))


errors = {order: error(predicted) for order, predicted in predictions.items()}
print({order: round(value, 3) for order, value in errors.items()})

# %% [markdown]
# One tap knows how many spots there are, but not whether they are becoming more or fewer. Two taps
# know the direction: they can turn in a circle, and the sun does, every eleven years or so. Nine taps
# have seen nearly a whole turn.
#
# ## Hidden units over the taps
#
# Put a hidden layer over the same window and it becomes a **time-delay neural network**, $y_t = V
# \tanh(W [y_{t-1}, \dots, y_{t-p}] + b)$. It has no formula for its weights, so that it is trained by
# gradient.

# %%
network = sj.memoryless.tdnn(9, (8,), 1)
task = sj.tasks.synced(network, sj.heads.gaussian(1, scale=1.0))
centre, spread = jnp.mean(known), jnp.std(known)
scaled = (ys - centre) / spread
inputs, targets = scaled[:-1], scaled[1:]
batch = sj.Batch(inputs[: first - 1], targets[: first - 1])

optimizer = optax.adamw(1e-2, weight_decay=0.1)
state = sj.training.init_state(jax.random.key(0), task, optimizer, input_size=1)
fit = sj.training.fit(state, sj.training.make_step(task.loss, optimizer), [batch], steps=300, log_every=100)

said = centre + spread * task.predict(fit.state.params, inputs)[1].mean
errors["hidden units"] = float(jnp.sqrt(jnp.mean((said[first - 1 :] - ahead) ** 2)))
print(f"nine taps, linear: {errors[9]:.3f}   nine taps, 8 hidden units: {errors['hidden units']:.3f}")

# %% [markdown]
# The hidden layer can bend, and has ninety weights to do it with. Two hundred years are too few to say
# how: on years that it has not seen, the straight line is as good or better. Always look at the simple
# model first.

# %%
_, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5), width_ratios=(1.8, 1), layout="constrained")
years = series.times[first:]
left.plot(years, ahead[:, 0], "o-", color="0.6", markersize=3, linewidth=0.8, label="the sun")
for number, order in enumerate((1, 9)):
    label = "one tap" if order == 1 else f"{order} taps"
    style = {"color": plot.COLOURS[number], "linestyle": plot.LINES[number]}
    left.plot(years, predictions[order][first:, 0], label=label, **style)
left.set(xlabel="year", ylabel="root of the sunspots")
plot.legend(left)
right.plot(orders, [errors[order] for order in orders], "o-", color=plot.COLOURS[0], label="linear")
right.plot([9], [errors["hidden units"]], "s", color=plot.COLOURS[1], label="8 hidden units")
right.set(xlabel="taps", ylabel="error in the years held out", xticks=orders)
right.legend(frameon=False)

# %% [markdown]
# ## What no window can do
#
# Now a problem made to be hard: at each step, say which random bit was there **ten steps ago**. The
# best linear answer for a window of $p$ taps comes from least squares, in one line, so that no
# training can be blamed.

# %%
bits = jax.random.rademacher(jax.random.key(1), (2000, 1), jnp.float32)
wanted = np.roll(bits, 10, axis=0)
line = sj.delay_line(14, initial_window="zeros")
seen = np.asarray(line.unroll(line.init(jax.random.key(0), 1), bits)[1])  # [T, 14], the newest first
taps = np.arange(1, 15)
missed = []
for count in taps:
    window = seen[10:, :count]
    weights = np.linalg.lstsq(window, wanted[10:])[0]
    missed.append(float(np.mean((window @ weights - wanted[10:]) ** 2)))

_, axes = plt.subplots(figsize=(5, 3), layout="constrained")
axes.plot(taps, missed, "o-", color=plot.COLOURS[0])
axes.set(xlabel="taps", ylabel="mean squared error", title="the bit of ten steps ago")

# %% [markdown]
# No slope, a cliff. With ten taps (now and nine steps back) the answer is a coin toss, with eleven it
# is perfect. A window remembers everything inside it and **nothing** outside. Whoever does not know
# how long to remember needs a state that the model itself decides to write to: the rest of these
# chapters.
#
# ## Conclusion

# %%
print(f"two taps instead of one: the error falls by {1 - errors[2] / errors[1]:.0%}")
assert errors[2] < 0.85 * errors[1], "a second tap knows the direction"
assert errors[9] < errors[2], "nine taps know most of a cycle"
assert missed[9] > 0.9, "ten taps do not reach the bit"
assert missed[10] < 1e-6, "eleven do: the cliff stands where the window ends"
