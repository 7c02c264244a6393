"""Weights and states of torch's recurrent modules, as names and plain arrays; torch is not imported."""

from seqjax.interop.torch.hidden_state import from_hidden_state, to_hidden_state
from seqjax.interop.torch.state_dict import (
    KINDS,
    from_cell_state_dict,
    from_state_dict,
    to_cell_state_dict,
    to_state_dict,
)

__all__ = [
    "KINDS",
    "from_cell_state_dict",
    "from_hidden_state",
    "from_state_dict",
    "to_cell_state_dict",
    "to_hidden_state",
    "to_state_dict",
]
