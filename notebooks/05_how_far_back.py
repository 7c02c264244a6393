# %% [markdown]
# # 5. How far back do gradients reach?
#
# What a network should have remembered at step $k$ is learned from an error at step $t$, through the
# product of all Jacobians between them,
#
# $$\frac{\partial h_t}{\partial h_k} = \prod_{s=k+1}^{t} \operatorname{diag}\big(f'(a_s)\big)\, U^\top,
# \qquad
# \Big\| \frac{\partial h_t}{\partial h_k} \Big\| \le \big(\gamma_{f'} \, \gamma_U\big)^{t-k} ,$$
#
# with $\gamma_U$ the norm of the recurrent kernel and $\gamma_{f'}$ the steepest slope of the
# activation (Bengio et al., 1994; Pascanu et al., 2013). If the base is below one, the gradient
# **vanishes**, exponentially, whatever the data; above one it *may* explode.
#
# **The question.** How far back do a sigmoid, a tanh and a ReLU reach, measured? And does that decide
# what they can learn?

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import seqjax as sj
from seqjax import diagnostics, plot

# %% [markdown]
# ## The data: the adding problem
#
# Numbers between 0 and 1; two of them are marked. The answer, at the end, is their sum. The first
# mark comes in the first half: it has to be remembered for at least half of the sequence. Whoever
# ignores the marks answers 1, a mean squared error of 1/6.

# %%
example = sj.data.synthetic.adding_problem(1, 10, seed=0)
print("numbers", " ".join(f"{number:.2f}" for number in example.inputs[:, 0, 0]))
print("marks  ", " ".join(f"{mark:4.0f}" for mark in example.inputs[:, 0, 1]))
print(f"answer  {example.targets[0, 0]:.2f}")

# %% [markdown]
# ## Three activations
#
# The third is the one of Le et al. (2015): a ReLU whose recurrent kernel starts as the identity, so
# that what is positive is simply kept.

# %%
STEPS = 30
CELLS = {"sigmoid": sj.elman(32, jax.nn.sigmoid), "tanh": sj.elman(32), "ReLU, identity": sj.irnn(32)}
ACTIVATIONS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "ReLU, identity": jax.nn.relu}
xs = sj.data.synthetic.adding_problem(1, STEPS, seed=1).inputs[:, 0]  # [T, D]
lags = np.maximum(np.subtract.outer(np.arange(STEPS), np.arange(STEPS)), 0)

norms, bounds, decays = {}, {}, {}
for name, cell in CELLS.items():
    params = cell.init(jax.random.key(0), 2)
    jacobians = diagnostics.state_jacobians(cell, params, xs).matrices  # [T, H, H]
    norms[name] = diagnostics.product_norms(jacobians)  # [T, T]
    bounds[name] = diagnostics.elman_bound(params.recurrent_kernel, ACTIVATIONS[name])
    decays[name] = diagnostics.decay(norms[name])
    base = float(bounds[name].kernel_norm * bounds[name].slope)
    print(
        f"{name:15} the bound is {base:.3f} a step, measured {decays[name].rate:.3f}: {decays[name].kind()}, "
        f"halved after {float(decays[name].horizon):.0f} steps"
    )

# %%
_, panels = plt.subplots(1, 3, figsize=(14, 3.6), layout="constrained")
for axes, name in zip(panels, CELLS, strict=True):
    plot.gradient_norms(norms[name], bounds[name].at(lags), limits=(1e-4, 1), axes=axes)
    axes.set_title(name)

# %% [markdown]
# Dark is weak, and every square is one $\|\partial h_t / \partial h_k\|$. On the diagonal stands 1;
# to the left lies the past. The sigmoid, whose slope is at most a quarter, has forgotten after a few
# steps. The dashed lines say what the bound allows: no square above them may be brighter.
#
# ## All directions, not only the strongest
#
# The norm is the largest singular value. The others say what becomes of the remaining directions of
# the state.

# %%
_, panels = plt.subplots(1, 3, figsize=(14, 3.2), sharey=True, layout="constrained")
for axes, (name, cell) in zip(panels, CELLS.items(), strict=True):
    params = cell.init(jax.random.key(0), 2)
    jacobians = diagnostics.state_jacobians(cell, params, xs).matrices
    products = diagnostics.jacobian_products(jacobians, [(lag, 0) for lag in range(STEPS)])
    spectra = np.linalg.svd(products, compute_uv=False)
    plot.singular_values(spectra, bounds[name].at(np.arange(STEPS)), axes=axes)
    axes.set_ylim(1e-9, 10)
    axes.set_title(name)

# %% [markdown]
# ## Does it decide what is learned?
#
# The same training three times: tanh on short sequences, and tanh and the ReLU on longer ones.

# %%
UPDATES = 2400
losses, curves = {}, {}
for name, length in (("tanh", 8), ("tanh", 60), ("ReLU, identity", 60)):
    task = sj.tasks.many_to_one(CELLS[name], sj.heads.gaussian(1, scale=1.0))
    schedule = optax.cosine_decay_schedule(3e-3, UPDATES)
    optimizer = optax.chain(optax.clip_by_global_norm(0.1), optax.adam(schedule))
    state = sj.training.init_state(jax.random.key(1), task, optimizer, 2)
    step = sj.training.make_step(task.loss, optimizer)
    batches = (sj.data.synthetic.adding_problem(32, length, seed=(2, number)) for number in range(UPDATES))
    fit = sj.training.fit(state, step, batches, log_every=200)
    unseen = sj.data.synthetic.adding_problem(1000, length, seed=3)
    losses[name, length] = float(task.loss(fit.state.params, unseen)[1].metrics["squared_error"])
    curves[f"{name}, {length} steps"] = fit.history["squared_error"].reshape(-1, 50).mean(axis=1)
    print(f"{name:15} {length:3} steps: mean squared error {losses[name, length]:.4f}")

_, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
plot.learning_curves(curves, 50 * np.arange(1, 1 + UPDATES // 50), axes=axes)
axes.axhline(1 / 6, color="0.5", linestyle=":")
axes.text(UPDATES, 1 / 6, "ignores the marks", ha="right", va="bottom", fontsize="small")
axes.set(xlabel="update", ylabel="mean squared error", yscale="log")

# %% [markdown]
# ## Conclusion
#
# What was measured before any training tells what training will do: tanh learns short sequences and not
# long ones, the ReLU is well on its way with the long ones too. Reaching far by an identity is fragile,
# though: nothing protects what is kept from what comes in. Chapter 6 has gates.

# %%
for name in CELLS:
    assert not diagnostics.exceeds_bound(norms[name], bounds[name]).any(), name
horizons = {name: float(decays[name].horizon) for name in CELLS}
print(f"halved after: {horizons}")
assert horizons["sigmoid"] < horizons["tanh"] < horizons["ReLU, identity"]
assert decays["sigmoid"].kind() == "vanishing"
assert losses["tanh", 8] < 0.03, "short sequences are no problem"
assert losses["tanh", 60] > 0.08, "on long ones, tanh has hardly begun"
assert losses["ReLU, identity", 60] < 0.5 * losses["tanh", 60]
