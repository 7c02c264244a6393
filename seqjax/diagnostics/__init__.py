"""What a recurrent network does, measured: pure functions of a cell, params and inputs.

```python
jacobians = sj.diagnostics.state_jacobians(cell, params, xs)
norms = sj.diagnostics.product_norms(jacobians.matrices)  # |d h_t / d h_k|, [T, T, *B]
sj.diagnostics.decay(norms).kind()  # "vanishing", "stable" or "exploding"
bound = sj.diagnostics.elman_bound(params.recurrent_kernel, jnp.tanh)
sj.diagnostics.exceeds_bound(norms, bound).any()  # never, of an Elman network
flow = sj.diagnostics.gradient_flow(task.loss, params, batch)  # |dE / d h_k|, layer by layer
```
"""

from seqjax.diagnostics.bounds import Bound, elman_bound, exceeds_bound, largest_slope, measured_bound
from seqjax.diagnostics.checks import GradientReport, check_gradients
from seqjax.diagnostics.decay import Decay, decay
from seqjax.diagnostics.flow import GradientFlow, LayerFlow, gradient_flow, parameter_norms, record_norms
from seqjax.diagnostics.gates import Saturation, gate_values, retention, saturation, time_constants
from seqjax.diagnostics.jacobians import (
    StateJacobians,
    jacobian_products,
    product_norms,
    state_jacobians,
    trajectory,
)
from seqjax.diagnostics.kernels import kernel_norm, orthogonality_gap, spectral_radius
from seqjax.diagnostics.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from seqjax.diagnostics.matrix_free import largest_singular_value, pull_back, push_forward
from seqjax.diagnostics.three_ways import (
    ReplicaGradients,
    forward_gradient,
    replica_gradients,
    reverse_gradient,
)
from seqjax.ops.singular_values import singular_values

__all__ = [
    "Bound",
    "Decay",
    "GradientFlow",
    "GradientReport",
    "LayerFlow",
    "LyapunovSpectrum",
    "ReplicaGradients",
    "Saturation",
    "StateJacobians",
    "check_gradients",
    "decay",
    "elman_bound",
    "exceeds_bound",
    "forward_gradient",
    "gate_values",
    "gradient_flow",
    "jacobian_products",
    "kernel_norm",
    "largest_singular_value",
    "largest_slope",
    "lyapunov_spectrum",
    "measured_bound",
    "orthogonality_gap",
    "parameter_norms",
    "product_norms",
    "pull_back",
    "push_forward",
    "record_norms",
    "replica_gradients",
    "retention",
    "reverse_gradient",
    "saturation",
    "singular_values",
    "spectral_radius",
    "state_jacobians",
    "time_constants",
    "trajectory",
]
