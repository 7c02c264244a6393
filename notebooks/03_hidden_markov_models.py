# %% [markdown]
# # 3. Hidden Markov models: which state was it in?
#
# A Kalman filter's state is a point in space. A **hidden Markov model** is in one of $K$ states, and
# jumps:
#
# $$p(z_{t+1} = j \mid z_t = i) = A_{ij}, \qquad p(y_t \mid z_t = i) = \text{the emission of state } i .$$
#
# The states are not seen. Three questions can be answered exactly, all by one pass over time: how
# probable is the whole series (*forward*), how probable is each state at each step
# (*forward-backward*), and which path of states is the most probable one (*Viterbi*).
#
# **The question.** Old Faithful erupts for two minutes, or for four and a half. Does an eruption know
# what the one before it was like?

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import seqjax as sj
from seqjax import plot

# %% [markdown]
# ## The data
#
# 299 eruptions in a row: how long one waited for each, and how long it lasted. We look at the
# durations.

# %%
series = sj.data.geyser()
print(series.source)
print("minutes:", series.values[:8, 1].round(1).tolist(), "...")

ys = jnp.asarray(series.values[:, 1:], jnp.float32)  # [T, 1]
known, ahead = ys[:200], ys[200:]

# %% [markdown]
# ## Learning without ever seeing a state
#
# **Baum-Welch** starts from a guess, computes how probable each state is at each step, counts
# transitions and averages durations with these probabilities as weights, and repeats. The likelihood
# never falls. (The small pseudo-count keeps the variance of a state from collapsing: long eruptions
# at night were noted as exactly four minutes.)

# %%
emission = sj.hmm.gaussian(2, 1, covariance_pseudo_count=0.1)
found = sj.hmm.fit(emission, jax.random.key(0), known, num_restarts=4, transition_pseudo_count=0.5)

means, transition = found.emission_params.means[:, 0], found.params.transition
short, long = (int(state) for state in jnp.argsort(means))
names = ["", ""]
names[short], names[long] = f"short, {means[short]:.1f} min", f"long, {means[long]:.1f} min"
print(f"log-likelihood: {found.history[0]:.1f} at the start, {found.log_likelihood:.1f} learned")
for state in (short, long):
    row = transition[state]
    print(f"after {names[state]}: short with probability {row[short]:.2f}, long {row[long]:.2f}")

# %% [markdown]
# After a short eruption comes a long one, practically always. After a long one it may be either.
#
# ## The states of eruptions that the model has not seen

# %%
scores = emission.log_likelihoods(found.emission_params, ahead)  # [T, K]
posterior = sj.hmm.smooth(found.params, scores)
path, log_probability = sj.hmm.viterbi(found.params, scores)

_, (top, bottom) = plt.subplots(
    2, 1, figsize=(9, 4.2), sharex=True, height_ratios=(2, 1), layout="constrained"
)
steps = np.arange(201, 300)
top.plot(steps, ahead[:, 0], "o-", color="0.5", markersize=3, linewidth=0.6)
top.set_ylabel("duration (min)")

plot.state_probabilities(posterior.smoothed, path, steps, names=names, axes=bottom)
bottom.set_title("black: probable; line: Viterbi's path", fontsize="medium", loc="left")
bottom.set_xlabel("eruption")

# %% [markdown]
# ## Does the chain matter?
#
# The same two Gaussians without a chain are a **mixture**: each eruption draws its state anew, with
# the same shares. It is a hidden Markov model too, one whose rows of transitions are all equal. How
# well does each predict the next duration?

# %%
shares = sj.hmm.smooth(found.params, emission.log_likelihoods(found.emission_params, known)).smoothed.mean(0)
shares = shares / shares.sum()
mixture = sj.hmm.params(shares, jnp.stack([shares, shares]))
per_eruption = {
    "with a chain": float(sj.hmm.log_normalizer(found.params, scores)) / len(ahead),
    "without": float(sj.hmm.log_normalizer(mixture, scores)) / len(ahead),
}
print({name: round(value, 3) for name, value in per_eruption.items()}, "nats an eruption")

# %% [markdown]
# ## Viterbi against the brute force
#
# There are $2^{8} = 256$ paths over eight eruptions. We can score them all, and see that the
# algorithm, which looked at eight steps times four transitions, found the best.

# %%
piece = scores[:8]
paths = np.array(list(np.ndindex(*[2] * 8)))
start = np.asarray(jax.nn.log_softmax(found.params.initial_logits))
logs = start[paths[:, 0]] + np.asarray(piece)[np.arange(8), paths].sum(axis=1)
logs = logs + np.log(transition)[paths[:, :-1], paths[:, 1:]].sum(axis=1)
best, best_log = sj.hmm.viterbi(found.params, piece)
print("best of 256 paths:", paths[logs.argmax()].tolist(), "Viterbi's:", best.tolist())

# %% [markdown]
# ## Conclusion

# %%
runs = np.asarray(path)
after_short = runs[1:][runs[:-1] == short]
share = np.mean(after_short == long)
print(f"of {len(after_short)} short eruptions held out, {share:.0%} are followed by a long one")
assert transition[short, long] > 0.9
assert share > 0.9
assert per_eruption["with a chain"] > per_eruption["without"] + 0.1
assert best.tolist() == paths[logs.argmax()].tolist()
assert np.isclose(best_log, logs.max(), atol=1e-3)
assert np.isclose(np.logaddexp.reduce(logs), sj.hmm.log_normalizer(found.params, piece), atol=1e-3)
