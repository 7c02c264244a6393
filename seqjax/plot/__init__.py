"""Pictures of what recurrent models do, by matplotlib, readable without colours.

Each takes arrays and, as `axes`, where to draw; without it, it opens a figure of pyplot, which a notebook
shows. It returns the axes, so that titles, limits and scales are yours to change.
"""

from seqjax.plot.beliefs import band, state_probabilities
from seqjax.plot.curves import learning_curves
from seqjax.plot.figures import COLOURS, LINES, MARKERS, QUANTILE_90, held_out, legend, new_figure, save
from seqjax.plot.gradients import gradient_flow, gradient_norms, singular_values
from seqjax.plot.networks import attention, gates, trajectories
from seqjax.plot.unrolled import unrolled

__all__ = [
    "COLOURS",
    "LINES",
    "MARKERS",
    "QUANTILE_90",
    "attention",
    "band",
    "gates",
    "gradient_flow",
    "gradient_norms",
    "held_out",
    "learning_curves",
    "legend",
    "new_figure",
    "save",
    "singular_values",
    "state_probabilities",
    "trajectories",
    "unrolled",
]
