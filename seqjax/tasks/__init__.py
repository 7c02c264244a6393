"""Tasks: a network and a head joined for a problem of one shape, with its loss and its prediction."""

from seqjax.tasks import heads
from seqjax.tasks.heads import Head
from seqjax.tasks.many_to_one import many_to_one
from seqjax.tasks.pooling import Pooling
from seqjax.tasks.synced import synced
from seqjax.tasks.task import LossAux, Task, TaskParams

__all__ = ["Head", "LossAux", "Pooling", "Task", "TaskParams", "heads", "many_to_one", "synced"]
