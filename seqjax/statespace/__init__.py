"""State spaces: models whose hidden state is inferred from what is observed."""

from seqjax.statespace import hmm, lds

__all__ = ["hmm", "lds"]
