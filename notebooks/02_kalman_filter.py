# %% [markdown]
# # 2. The Kalman filter: a state that is believed, not known
#
# Give a model a hidden state, and let both the state and what is seen of it be noisy:
#
# $$z_{t+1} = F z_t + \text{noise}, \qquad y_t = H z_t + \text{noise} .$$
#
# The state is never seen. What can be computed is a **belief** about it, and if every noise is
# Gaussian, so is the belief, forever: a mean and a covariance, updated at every step. That is the
# Kalman filter, a recurrence whose carry is a belief.
#
# **The question.** When did the Nile change? And what does the filter believe about years in which
# nobody measured?

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
# The flow of the Nile at Aswan, year by year. To make it harder we hide twenty years in the middle.

# %%
series = sj.data.nile()
print(series.source)
print({int(year): float(flow) for year, flow in zip(series.times[:6], series.values[:6], strict=True)})

ys = jnp.asarray(series.values, jnp.float32)[:, None]  # [T, 1]
observed = ~((series.times >= 1921) & (series.times <= 1940))
print(f"{observed.sum()} years are seen, {(~observed).sum()} hidden")

# %% [markdown]
# ## The model
#
# The simplest one with a state is the **local level**: the level wanders, $z_{t+1} = z_t +
# \text{noise}$, and each year's flow is the level and some weather, $y_t = z_t + \text{noise}$. Two
# variances are all there is to learn. We know nothing about the first level: it is *diffuse*.


# %%
def local_level(log_variances):
    """Two numbers of any sign become a model of two positive variances."""
    level, weather = jnp.exp(log_variances)
    return sj.lds.params(
        dynamics=jnp.ones((1, 1)),
        dynamics_covariance=level * jnp.ones((1, 1)),
        emission=jnp.ones((1, 1)),
        emission_covariance=weather * jnp.ones((1, 1)),
        diffuse=True,
    )


# %% [markdown]
# ## Learning the two variances
#
# The filter predicts each year before it sees it, so that the probability of the whole series is a
# by-product: $\log p(y) = \sum_t \log p(y_t \mid y_1 \dots y_{t-1})$. It is differentiable, so that
# any optimiser will do.


# %%
def loss(log_variances):
    return -sj.lds.log_normalizer(local_level(log_variances), ys, observed=observed[:, None])


optimizer = optax.adam(0.1)


@jax.jit
def learn(start):
    def step(carry, _):
        params, state = carry
        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(params, updates), state), value

    (params, _), losses = jax.lax.scan(step, (start, optimizer.init(start)), length=200)
    return params, losses


start = jnp.log(jnp.array([5000.0, 5000.0]))
learned, losses = learn(start)
level, weather = np.exp(learned)
print(f"negative log-likelihood: {losses[0]:.1f} at the start, {losses[-1]:.1f} learned")
print(f"variance of the level {level:,.0f}, of the weather {weather:,.0f}")

# %% [markdown]
# ## Filtering and smoothing
#
# The **filter** knows the years up to each one, the **smoother** all of them.

# %%
model = local_level(learned)
smoothed = sj.lds.smooth(model, ys, observed=observed[:, None])
filtered = smoothed.filtered

_, panels = plt.subplots(2, 1, figsize=(9, 5.5), sharex=True, sharey=True, layout="constrained")
seen = np.where(observed, series.values, np.nan)
for axes, belief, name in zip(panels, (filtered, smoothed), ("filtered", "smoothed"), strict=True):
    # The first year's belief is as wide as its own noise; the level before it could have been anything.
    plot.band(
        belief.mean[:, 0],
        belief.cholesky[:, 0, 0],
        series.times,
        observations=seen,
        label=f"level, {name}",
        axes=axes,
    )
    axes.plot(
        series.times[~observed], series.values[~observed], "x", color="0.4", markersize=4, label="hidden"
    )
    axes.set_ylabel("flow (10⁸ m³)")
    plot.legend(axes)
panels[1].set_xlabel("year")

# %% [markdown]
# In the gap the filter's mean stands still, and its band opens like a square root: each hidden year
# adds the same variance. The smoother, which knows both shores, bridges the gap and is most uncertain
# in its middle. Both fall around 1899, when the first dam at Aswan was begun.
#
# ## Is the belief honest?
#
# A band of 90 % should hold 90 % of what it has not seen. Each year's flow, predicted from the years
# before it, has the variance of the predicted level plus that of the weather.

# %%
spread = jnp.sqrt(filtered.predicted_cholesky[:, 0, 0] ** 2 + weather)
inside = np.abs(ys[:, 0] - filtered.predicted_mean[:, 0]) < plot.QUANTILE_90 * spread
# The first year is left out: before it, the filter knew nothing.
coverage = {"seen": float(inside[1:][observed[1:]].mean()), "hidden": float(inside[~observed].mean())}
print(coverage)

# %% [markdown]
# ## Conclusion

# %%
width = np.asarray(filtered.cholesky[:, 0, 0])
last_hidden = np.flatnonzero(~observed)[-1]
growth = width[last_hidden] ** 2 - width[last_hidden - 20] ** 2
fall = float(smoothed.mean[:25, 0].mean() - smoothed.mean[32:50, 0].mean())
print(f"20 hidden years added a variance of {growth:,.0f}: {growth / 20:,.0f} a year")
print(f"the level fell by {fall:.0f}")
assert losses[-1] < losses[0] - 1
assert np.isclose(growth, 20 * level, rtol=1e-3), (
    "a hidden year adds the variance of the level, no more, no less"
)
assert (smoothed.cholesky[:-1, 0, 0] < width[:-1]).all(), "who knows the future knows more"
assert 0.8 < coverage["seen"] < 0.98
assert fall > 150
