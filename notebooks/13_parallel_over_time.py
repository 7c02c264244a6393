# %% [markdown]
# # 13. Recurrences in parallel over time
#
# A recurrence is a chain: step $t$ waits for step $t-1$. On a machine with thousands of cores that is
# a waste. But some chains can be cut. If each step is **linear** in the state,
#
# $$h_t = a_t h_{t-1} + b_t ,$$
#
# then two steps are again one such step, $(a_1, b_1)$ followed by $(a_2, b_2)$ is $(a_2 a_1,\; a_2
# b_1 + b_2)$. This composition is *associative*: brackets may stand anywhere, and a tree of them has
# only $\log_2 T$ levels.
#
# **The question.** Does one really get the same numbers? And what about networks that are not linear?

# %%
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import seqjax as sj
from seqjax import plot

# %% [markdown]
# ## Doubling, round by round
#
# Let each step combine itself with the step before; then what it has with what the step two before
# has; then four, eight... After $r$ rounds, each step has seen the $2^r$ steps before it. With 16
# steps, four rounds are enough. Print one example of the data: a step is a pair of numbers.

# %%
T = 16
key_a, key_b = jax.random.split(jax.random.key(0))
a, b = jax.random.uniform(key_a, (T,), minval=0.5), jax.random.normal(key_b, (T,))
print(
    "the first steps:", [(round(float(x), 2), round(float(y), 2)) for x, y in zip(a[:3], b[:3], strict=True)]
)

one_by_one, h = [], 0.0
for t in range(T):
    h = a[t] * h + b[t]
    one_by_one.append(h)

seen, rounds = np.eye(T, dtype=bool), [np.eye(T, dtype=bool)]
doubled_a, doubled_b, distance = a, b, 1
while distance < T:
    earlier_a = jnp.concatenate([jnp.ones(distance), doubled_a[:-distance]])
    earlier_b = jnp.concatenate([jnp.zeros(distance), doubled_b[:-distance]])
    doubled_a, doubled_b = doubled_a * earlier_a, doubled_a * earlier_b + doubled_b
    seen = seen | np.concatenate([np.zeros((distance, T), bool), seen[:-distance]])
    rounds.append(seen)
    distance *= 2
by_doubling = float(jnp.abs(doubled_b - jnp.stack(one_by_one)).max())
print(f"{len(rounds) - 1} rounds instead of {T} steps; the results differ by {by_doubling:.1e}")

_, panels = plt.subplots(1, 5, figsize=(12, 3), sharey=True, layout="constrained")
for number, (axes, known) in enumerate(zip(panels, rounds, strict=True)):
    axes.imshow(known, cmap="Greys", interpolation="nearest")
    axes.set_title(f"rounds: {number}", fontsize="medium")
    axes.set_xlabel("step that it knows of")
panels[0].set_ylabel("step")

# %% [markdown]
# ## A network that allows it
#
# The minimal GRU (Feng et al., 2024) has gates that read the input alone, so that it is linear in its
# state. Trained step by step or by a tree, it should be the same network. The task: two of sixty-four
# numbers are marked, what is their sum?

# %%
example = sj.data.synthetic.adding_problem(1, 8, seed=0)
print("numbers", " ".join(f"{number:.2f}" for number in example.inputs[:, 0, 0]))
print("marks  ", " ".join(f"{mark:4.0f}" for mark in example.inputs[:, 0, 1]))
print(f"answer  {example.targets[0, 0]:.2f}")

optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))
curves, params = {}, {}
for method in ("scan", "associative"):
    layer = sj.layers.recurrent(sj.min_gru(32), method=method)
    task = sj.tasks.many_to_one(sj.stack(layer, layer), sj.heads.gaussian(1, scale=1.0), pooling="last")
    state = sj.training.init_state(jax.random.key(2), task, optimizer, input_size=2)
    step = jax.jit(sj.training.make_step(task.loss, optimizer), donate_argnums=0)
    losses, begin = [], None
    for number in range(300):
        state, metrics = step(state, sj.data.synthetic.adding_problem(32, 64, seed=number))
        begin = begin or (jax.block_until_ready(state.params), time.perf_counter())[1]
        losses.append(metrics["squared_error"])
    jax.block_until_ready(state.params)
    milliseconds = 1000 * (time.perf_counter() - begin) / 299
    curves[method], params[method] = np.array(losses), state.params
    print(
        f"{method:12} {milliseconds:.1f} ms a step on this machine, loss {np.mean(curves[method][-30:]):.4f}"
    )

_, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for number, (method, losses) in enumerate(curves.items()):
    axes.plot(
        losses, color=plot.COLOURS[number], linestyle=plot.LINES[number], linewidth=2 - number, label=method
    )
axes.set(xlabel="step", ylabel="squared error", yscale="log")
axes.legend(frameon=False)

# %% [markdown]
# The two curves lie on each other. Which one is *faster* depends on the machine: the tree does about
# twice the work in far fewer rounds. With two cores the loop usually wins; with thousands, the tree.
# `method="auto"` knows that.
#
# ## And a network that is not linear?
#
# A GRU is not. But guess all its states at once, linearise every step around the guess, solve the
# *linear* recurrence in parallel, and guess again. This is Newton's method on the whole trajectory
# (Lim et al., 2024; Gonzalez et al., 2024), and it needs a few rounds instead of $T$ steps. Here one
# round after the other, by hand, for a cell of one unit:

# %%
cell = sj.gru(1)
unit = cell.init(jax.random.key(3), 1)
xs = jax.random.normal(jax.random.key(4), (200, 1))
start = cell.initial_carry(unit)
truth = sj.unroll(cell, unit, xs, method="scan")[1]


def advance(h, x):
    return cell.step(unit, h[None], x)[1][0]


@jax.jit
def newton_round(guess):
    """States `[T]` -> better states: a linear recurrence, solved by a tree."""
    before = jnp.concatenate([start, guess[:-1]])
    values = jax.vmap(advance)(before, xs)
    slopes = jax.vmap(jax.grad(advance))(before, xs)
    shifts = values - slopes * before
    combine = lambda first, then: (then[0] * first[0], then[0] * first[1] + then[1])  # noqa: E731
    slopes_so_far, shifts_so_far = jax.lax.associative_scan(combine, (slopes, shifts))
    return slopes_so_far * start + shifts_so_far


guess, errors = jnp.zeros(200), []
for _ in range(8):
    errors.append(float(jnp.abs(guess - truth[:, 0]).max()))
    guess = newton_round(guess)
print("largest error after each round:", [f"{error:.0e}" for error in errors])

# %% [markdown]
# The library does that for any cell, several units included, with its gradient: `method="newton"`.

# %%
wide = sj.gru(4)
wide_params = wide.init(jax.random.key(5), 3)
many = jax.random.normal(jax.random.key(6), (100, 2, 3))
difference = jnp.abs(
    sj.unroll(wide, wide_params, many, method="newton")[1]
    - sj.unroll(wide, wide_params, many, method="scan")[1]
).max()
print(f"four units, a hundred steps: newton and scan differ by {difference:.1e}")

# %% [markdown]
# ## Beliefs too
#
# The Kalman filter of chapter 2 is a recurrence whose carry is a belief. Beliefs compose as well
# (Särkkä & García-Fernández, 2021).

# %%
flows = jnp.asarray(sj.data.nile().values, jnp.float32)[:, None]
one = jnp.ones((1, 1))
model = sj.lds.params(
    dynamics=one,
    dynamics_covariance=1469.0 * one,
    emission=one,
    emission_covariance=15099.0 * one,
    diffuse=True,
)
beliefs = {method: sj.lds.filter(model, flows, method=method) for method in ("scan", "associative")}
apart = float(jnp.abs(beliefs["scan"].mean - beliefs["associative"].mean).max())
print(f"the level of the Nile, about 1000, differs by {apart:.1e}")

# %% [markdown]
# ## Conclusion

# %%
last = {method: float(np.mean(losses[-30:])) for method, losses in curves.items()}
needed = int(np.argmax(np.array(errors) < 1e-5))
print(f"Newton needs {needed} rounds until the error is below 1e-5, instead of 200 steps")
assert by_doubling < 1e-5
assert np.allclose(curves["scan"][:20], curves["associative"][:20], rtol=1e-3), (
    "the same training, step by step"
)
assert last["associative"] < 0.08, "whoever ignores the marks has 1/6"
assert errors[-1] < 1e-5
assert difference < 1e-4
assert apart < 0.5
