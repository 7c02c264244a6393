"""Training: a state, a step, and a loop short enough to copy.

An ensemble is a `vmap`: over seeds, over learning rates, or both, all members in one compiled step.

```python
def optimizer(learning_rate):
    return optax.inject_hyperparams(optax.adam)(learning_rate=learning_rate)


def member(key, learning_rate):
    return init_state(key, task, optimizer(learning_rate), input_size=1)


states = jax.vmap(member)(jax.random.split(key, 3), jnp.array([1e-2, 1e-3, 1e-4]))
step = jax.jit(jax.vmap(make_step(task.loss, optimizer(0.0)), in_axes=(0, None)))
states, metrics = step(states, batch)  # metrics["loss"][3]
```

The learning rates live in the states, where `inject_hyperparams` keeps them; what the step's own optimizer
was given is not read.
"""

from seqjax.training import online
from seqjax.training.checkpoints import (
    BrokenCheckpoint,
    Checkpoint,
    Checkpoints,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from seqjax.training.evaluation import make_evaluation
from seqjax.training.fit import FitResult, fit
from seqjax.training.history import NonFinite
from seqjax.training.interruption import Interrupted
from seqjax.training.precision import in_precision
from seqjax.training.sharding import by_longest_axis, replicated, shard, shard_batch
from seqjax.training.state import TrainingState, init_state
from seqjax.training.step import make_step
from seqjax.training.weights import load_weights, named_arrays, save_weights

__all__ = [
    "BrokenCheckpoint",
    "Checkpoint",
    "Checkpoints",
    "FitResult",
    "Interrupted",
    "NonFinite",
    "TrainingState",
    "by_longest_axis",
    "fit",
    "in_precision",
    "init_state",
    "load_checkpoint",
    "load_weights",
    "make_evaluation",
    "make_step",
    "named_arrays",
    "newest_checkpoint",
    "online",
    "replicated",
    "save_checkpoint",
    "save_weights",
    "shard",
    "shard_batch",
]
