"""Tasks: a network and a head joined for a problem of one shape, with its loss and its prediction."""

from seqjax.tasks import heads
from seqjax.tasks.decoder import DecoderCarry, DecoderParams
from seqjax.tasks.encoder_decoder import EncoderDecoderParams
from seqjax.tasks.heads import Head
from seqjax.tasks.many_to_many import many_to_many
from seqjax.tasks.many_to_one import many_to_one
from seqjax.tasks.one_to_many import one_to_many
from seqjax.tasks.one_to_one import one_to_one
from seqjax.tasks.pooling import Pooling
from seqjax.tasks.synced import synced
from seqjax.tasks.task import LossAux, Task, TaskParams
from seqjax.tasks.tied import tied

__all__ = [
    "DecoderCarry",
    "DecoderParams",
    "EncoderDecoderParams",
    "Head",
    "LossAux",
    "Pooling",
    "Task",
    "TaskParams",
    "heads",
    "many_to_many",
    "many_to_one",
    "one_to_many",
    "one_to_one",
    "synced",
    "tied",
]
