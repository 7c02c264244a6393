"""Learning from streams forward in time, with nothing of the past but what a rule keeps of it.

An alternative to truncated backpropagation through time (`seqjax.training.make_step` with `carry_over`),
whose gradient ends at the edge of a batch. `N` numbers of the carry, `P` params, `B` rows:

| rule | gradient | kept | work of a step |
| --- | --- | --- | --- |
| `rtrl()` | exact | `B N P`, of a diagonal linear recurrence `B P` | `B N^2 P`, or `B P` |
| `snap()` | without what goes through other units | `B P` to `B N P`, by the cell | as what is kept |
| `uoro()` | of the right mean, with noise | `B (N + P)` | that of a step and its gradient |
| `rtrl()` of `cut_feedback` cells | without recurrent kernels: e-prop | as `snap` | as `snap` |

```python
state = training.init_state(key, task, optimizer, input_size=3)
step = jax.jit(training.online.make_step(task, optimizer, training.online.snap()))
for batch in stream:  # batches of one step are enough
    state, metrics = step(state, batch)
```
"""

from seqjax.training.online.gradient import OnlineCarry, OnlineGradient, online_gradient
from seqjax.training.online.influence import rtrl, snap
from seqjax.training.online.rule import Probe, Rule
from seqjax.training.online.step import cosines, make_step
from seqjax.training.online.uoro import RankOne, uoro

__all__ = [
    "OnlineCarry",
    "OnlineGradient",
    "Probe",
    "RankOne",
    "Rule",
    "cosines",
    "make_step",
    "online_gradient",
    "rtrl",
    "snap",
    "uoro",
]
