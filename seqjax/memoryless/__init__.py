"""Models without a hidden state: what they remember is a window of what they have seen."""

from seqjax.memoryless import ar
from seqjax.memoryless.feedback import FeedbackCarry
from seqjax.memoryless.narx import NARXParams, narx
from seqjax.memoryless.tdnn import tdnn

__all__ = ["FeedbackCarry", "NARXParams", "ar", "narx", "tdnn"]
