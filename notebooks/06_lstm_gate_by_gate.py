# %% [markdown]
# # 6. The LSTM, gate by gate
#
# Chapter 5 measured how quickly a plain recurrent network forgets. Long short-term memory (Hochreiter
# & Schmidhuber, 1997) answers with a memory $c$ that is **added to**, and gates, numbers between 0
# and 1, that say when:
#
# $$c_t = f_t \odot c_{t-1} + i_t \odot \tanh(g_t), \qquad h_t = o_t \odot \tanh(c_t) .$$
#
# $i$ writes, $f$ keeps, $o$ reads. Each is $\sigma(x_t W + h_{t-1} U + b)$ with weights of its own.
# The cell of 1997 had no $f$: what was written stayed. The forget gate came in 2000 (Gers et al.),
# and the GRU (Cho et al., 2014) makes do with two gates and no separate memory.
#
# **The question.** What do the gates of a trained network *do*, and what did the forget gate add?

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import seqjax as sj
from seqjax import plot

# %% [markdown]
# ## One step by hand
#
# The kernels have an axis for the gates, in the order input, forget, candidate, output. Four lines of
# numpy are a whole LSTM.


# %%
def sigmoid(a):
    return 1 / (1 + np.exp(-np.asarray(a)))


cell = sj.lstm(4)
params = cell.init(jax.random.key(0), 2)
carry, x = cell.initial_carry(params), jnp.array([1.0, -1.0])

a = x @ params.input_kernel.reshape(2, 16) + carry.hidden @ params.recurrent_kernel.reshape(4, 16)
i, f, g, o = np.asarray(a).reshape(4, 4) + np.asarray(params.bias)
c = sigmoid(f) * np.asarray(carry.cell) + sigmoid(i) * np.tanh(g)
h = sigmoid(o) * np.tanh(c)

after, y = cell.step(params, carry, x)
by_hand = max(np.abs(after.cell - c).max(), np.abs(y - h).max())
print(f"by hand and by the library differ by {by_hand:.1e}")

# %% [markdown]
# ## The data: a switch to hold
#
# Pulses set a switch on (`+`) or off (`-`), the network says at each step how it stands. In between
# it has to hold, and a new pulse must overwrite the old.

# %%
example = sj.data.synthetic.flip_flop(1, 40, seed=5, num_bits=1, rate=0.15)
pulses = [{1: "+", -1: "-", 0: "."}[int(pulse)] for pulse in example.inputs[:, 0, 0]]
print("pulses", "".join(pulses))
print("answer", "".join(str(int(state)) for state in example.targets[:, 0, 0]))

# %% [markdown]
# ## Three cells
#
# Same size, same data, same steps; six random starts of each, trained together.

# %%
CELLS = {"LSTM of 1997": sj.lstm(4, forget_gate=False), "LSTM": sj.lstm(4), "GRU": sj.gru(4)}
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))


def batches(epoch):
    return (sj.data.synthetic.flip_flop(32, 40, seed=number, num_bits=1) for number in range(500))


curves, trained, held = {}, {}, {}
unseen = sj.data.synthetic.flip_flop(256, 400, seed=10_000, num_bits=1, rate=0.02)
for name, cell in CELLS.items():
    task = sj.tasks.synced(cell, sj.heads.bernoulli(1))
    keys = jax.random.split(jax.random.key(1), 6)
    states = jax.vmap(lambda key, task=task: sj.training.init_state(key, task, optimizer, 1))(keys)
    step = jax.vmap(sj.training.make_step(task.loss, optimizer), in_axes=(0, None))
    fit = sj.training.fit(states, step, batches, log_every=100)
    curves[name] = np.asarray(fit.history["loss"]).reshape(-1, 20, 6).mean(axis=1).T  # [6, looks]
    trained[name] = fit.state.params
    held[name] = np.asarray(
        jax.vmap(lambda params, task=task: task.loss(params, unseen)[1].metrics["accuracy"])(fit.state.params)
    )
    print(f"{name:13} right in sequences ten times as long: {np.median(held[name]):.2%} (median of 6)")

axes = plot.learning_curves(curves, 20 * np.arange(1, 26))
axes.set(yscale="log", ylabel="cross-entropy")

# %% [markdown]
# ## Looking at the gates
#
# A cell with gates declares its structure: a part that reads the input, a kernel for the hidden
# vector, and the gates' function. From the first two come the gates of every step at once.

# %%
name = "LSTM"
best = int(curves[name][:, -1].argmin())
params = jax.tree.map(lambda leaf: leaf[best], trained[name]).network
cell = CELLS[name]
xs = example.inputs[:, 0]  # [T, 1]

_, hs = sj.unroll(cell, params, xs)
before = jnp.concatenate([cell.initial_carry(params).hidden[None], hs[:-1]])
a = cell.structure.project(params, xs) + jnp.einsum("th,hgk->tgk", before, params.recurrent_kernel)
gates = sigmoid(a)[:, (0, 1, 3)]  # input, forget, output: [T, 3, H]

rows = [f"{gate} {unit + 1}" for gate in ("input", "forget", "output") for unit in range(4)]
_, axes = plt.subplots(figsize=(10, 3.8), layout="constrained")
plot.gates(gates.reshape(40, 12), words=pulses, names=rows, axes=axes)
axes.tick_params(axis="x", rotation=0)
for line in (3.5, 7.5):
    axes.axhline(line, color="black", linewidth=0.8)

# %% [markdown]
# Black is open. Look along the rows of the forget gate: nothing moves while nothing happens, and where a
# pulse turns the switch, a gate that was open shuts to *make room*. Between pulses it need not be open
# all the way: what leaks away is written anew at each step, from the hidden vector.

# %%
answer = example.targets[:, 0, 0]
flips = 1 + np.flatnonzero(np.diff(answer))  # the steps at which the switch really turns
shuts = (gates[flips - 1, 1] - gates[flips, 1]).max(axis=1)
print("where the switch turns, a forget gate shuts by", " ".join(f"{drop:.2f}" for drop in shuts))

# %% [markdown]
# ## Why gradients survive
#
# Along the memory alone, $\partial c_t / \partial c_{t-1} = f_t$: a product of forget gates, with no
# weight matrix in it. In the cell of 1997 it is exactly one, the *constant error carousel*. Measured,
# with the gates held as they are:

# %%


def along_the_memory(cell, params):
    """∂c_1/∂c_0 of each unit, the gates held as they are: from the cell's own step."""
    carry = cell.initial_carry(params)

    def memory(c):
        return cell.step(params, carry.replace(cell=c), jnp.zeros(1))[0].cell

    return jnp.diagonal(jax.jacobian(memory)(carry.cell))


old = jax.tree.map(lambda leaf: leaf[0], trained["LSTM of 1997"]).network
carousel = along_the_memory(CELLS["LSTM of 1997"], old)
print("1997:  ", carousel.tolist())
print("modern:", along_the_memory(cell, params).round(3).tolist())

# %% [markdown]
# ## Conclusion

# %%
print({name: f"{np.median(accuracy):.2%}" for name, accuracy in held.items()})
assert by_hand < 1e-6
assert (carousel == 1).all(), "exactly one: the constant error carousel"
assert shuts.mean() > 0.3, "what was kept has to make room"
assert np.median(held["LSTM"]) > 0.99
assert np.median(held["LSTM"]) > np.median(held["LSTM of 1997"])
