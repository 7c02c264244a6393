# %% [markdown]
# # 4. Recurrent networks, unrolled: where do their gradients come from?
#
# A recurrent network feeds its hidden vector back to itself. Elman's (1990) is
#
# $$h_t = \tanh(x_t W + h_{t-1} U + b), \qquad y_t = h_t V + c .$$
#
# Lay it out in time, one copy a step, and it is a feed-forward network with as many layers as there
# are steps, all of which have the **same weights**. Backpropagation through *that* network is
# **backpropagation through time**.
#
# **The question.** Can three hidden units learn to add numbers of any length? And is the gradient
# that JAX computes really the one that the unrolled picture promises?

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import seqjax as sj
from seqjax import plot

# %% [markdown]
# ## The data: sums, bit by bit
#
# At each step the network sees one bit of each number, the lowest first, and says that bit of the
# sum. It need not know how long the numbers are. What it must remember is whether one is carried.


# %%
def additions(batch_size, num_bits, seed):
    """Random pairs of numbers as bits `[T, B, 2]`, and the bits of their sums `[T, B]`."""
    numbers = np.random.default_rng(seed).integers(0, 2 ** (num_bits - 1), (2, batch_size))
    places = np.arange(num_bits)
    bits = (numbers[..., None] >> places) & 1  # [2, B, T]
    total = (numbers.sum(axis=0)[:, None] >> places) & 1  # [B, T]
    return sj.Batch(bits.T.astype(np.float32), total.T.astype(np.int32))


example = additions(1, 8, seed=3)
for name, row in (
    ("first", example.inputs[:, 0, 0]),
    ("second", example.inputs[:, 0, 1]),
    ("sum", example.targets[:, 0]),
):
    bits = "".join(str(int(bit)) for bit in row[::-1])
    print(f"{name:7}{bits} = {int(bits, 2)}")

# %% [markdown]
# ## Training
#
# Three units are few: from some random starts, training gets stuck. So we train twelve networks at
# once, which in JAX is one `vmap` over their random keys, and keep the best (chapter 14 has more of
# this).

# %%
task = sj.tasks.synced(sj.elman(3), sj.heads.categorical(2))
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-2))
step = sj.training.make_step(task.loss, optimizer)


def batches(epoch):
    return (additions(64, 8, seed=number) for number in range(800))


states = jax.vmap(lambda key: sj.training.init_state(key, task, optimizer, 2))(
    jax.random.split(jax.random.key(0), 12)
)
fit = sj.training.fit(states, jax.vmap(step, in_axes=(0, None)), batches, log_every=200)

losses = np.asarray(fit.history["loss"])  # [steps, 12]
best = int(losses[-50:].mean(axis=0).argmin())
params = jax.tree.map(lambda leaf: leaf[best], fit.state.params)

long = additions(200, 40, seed=10_000)
right = task.predict(params, long.inputs)[1].labels == long.targets
print(f"bits that are right, in numbers of 40 bits: {jnp.mean(right):.2%}")

# %%
_, (left, right_axes) = plt.subplots(1, 2, figsize=(12, 3.8), width_ratios=(1, 1.3), layout="constrained")
smooth = losses.reshape(-1, 20, 12).mean(axis=1)
left.plot(20 * np.arange(1, 41), smooth, color="0.7", linewidth=0.8)
left.plot(
    20 * np.arange(1, 41), smooth[:, best], color=plot.COLOURS[0], linewidth=1.8, label="the best of 12"
)
left.set(xlabel="step", ylabel="cross-entropy", yscale="log")
left.legend(frameon=False)
cell_params = params.network
plot.unrolled(
    cell_params.recurrent_kernel[:, 0],
    cell_params.input_kernel[:, 0],
    params.head.kernel,
    num_steps=3,
    axes=right_axes,
)
right_axes.set_title("the trained network, three steps of it", fontsize="medium")

# %% [markdown]
# Thick lines are large weights; the same lines come back at every step.
#
# ## The gradient, by hand
#
# Give each step a replica of the weights **of its own**. Backpropagation through this deep network is
# a recursion from the last step to the first: with $\delta_t = \partial E / \partial a_t$ and $a_t$
# what the tanh is applied to,
#
# $$\delta_t = \Big(\frac{\partial E_t}{\partial h_t} + \delta_{t+1} U^\top\Big) \odot (1 - h_t^2), \qquad
# \frac{\partial E}{\partial U^{(t)}} = h_{t-1}^\top \delta_t .$$
#
# As the replicas must stay equal, the gradient of the shared weights is the **sum** of the gradients
# of the replicas.

# %%
cell = sj.elman(3)
batch = additions(16, 8, seed=5)


def read(params, ys):
    """The loss, from the hidden vectors of all steps."""
    outputs = task.head.outputs(params.head, ys)
    return jnp.mean(task.head.loss(outputs, batch.targets))


U = cell_params.recurrent_kernel[:, 0]
_, hs = sj.unroll(cell, cell_params, batch.inputs)  # [T, B, 3]
before = jnp.concatenate([jnp.broadcast_to(cell.initial_carry(cell_params), hs[:1].shape), hs[:-1]])
outer = jax.grad(read, argnums=1)(params, hs)  # ∂E_t/∂h_t

replicas, delta = [], jnp.zeros_like(hs[0])
for t in reversed(range(len(hs))):
    delta = (outer[t] + delta @ U.T) * (1 - hs[t] ** 2)
    replicas.append(before[t].T @ delta)
replicas = jnp.stack(replicas[::-1])  # [T, 3, 3], one for each replica of U

# %% [markdown]
# And the same from `jax.grad`, through `unroll`, which runs the library's own hand-written gradient
# for cells with gates:

# %%
gradient = jax.grad(lambda cell_params: read(params, sj.unroll(cell, cell_params, batch.inputs)[1]))(
    cell_params
)
difference = jnp.abs(replicas.sum(axis=0) - gradient.recurrent_kernel[:, 0]).max()
print(
    f"largest difference: {difference:.1e}, of gradients up to {jnp.abs(gradient.recurrent_kernel).max():.1e}"
)

# %% [markdown]
# ## Conclusion
#
# Three units add numbers five times as long as any they have seen, because they have learned the
# *algorithm*: to carry. And what trained them is nothing but backpropagation, with weights that are
# shared over time.

# %%
wrong = int(right.size - right.sum())
print(f"{wrong} of {right.size:,} bits are wrong")
assert wrong == 0
assert difference < 1e-5 * max(1.0, float(jnp.abs(gradient.recurrent_kernel).max()))
assert task.loss(params, long)[0] < 0.01
