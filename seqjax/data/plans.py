"""Which examples make up which batch of an epoch: the part of batching that never touches the data."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seqjax.data.orders import permutation

Integers = npt.NDArray[np.int64]


class Plan(NamedTuple):
    """One batch: which examples, padded to how many steps.

    Attributes:
      bucket: which of the bucket lengths it is padded to.
      rows: `[B]`, the examples' numbers, -1 for a row that only fills the shape.
    """

    bucket: int
    rows: Integers


def plan_epoch(
    lengths: npt.NDArray[Any], buckets: tuple[int, ...], batch_size: int, order: Integers
) -> tuple[Plan, ...]:
    """Put every example into one batch of examples of about its length.

    What is left over of a bucket moves up to the next longer one, so that an epoch has the fewest batches
    that can hold it, and at most one of them has rows to spare.

    Args:
      lengths: `[N]`, the steps of each example.
      buckets: increasing lengths to pad to, the last at least the longest example.
      batch_size: rows a batch.
      order: `[N]`, the order in which examples are taken.

    Returns:
      The batches, from the shortest bucket to the longest.

    >>> plans = plan_epoch(np.array([1, 5, 2, 1]), (2, 5), 2, np.arange(4))
    >>> [(plan.bucket, plan.rows.tolist()) for plan in plans]
    [(0, [0, 2]), (1, [3, 1])]
    """
    bucket_of = np.searchsorted(buckets, lengths)
    plans: list[Plan] = []
    waiting = order[:0]
    for bucket in range(len(buckets)):
        members = np.concatenate([waiting, order[bucket_of[order] == bucket]])
        full = len(members) // batch_size * batch_size
        plans += [Plan(bucket, members[start : start + batch_size]) for start in range(0, full, batch_size)]
        waiting = members[full:]
    if len(waiting):
        rows = np.concatenate([waiting, np.full(batch_size - len(waiting), -1)])
        plans.append(Plan(int(bucket_of[waiting].max()), rows))
    return tuple(plans)


def shuffled_plan(
    lengths: npt.NDArray[Any], buckets: tuple[int, ...], batch_size: int, seed: int, epoch: int
) -> tuple[Plan, ...]:
    """Return `plan_epoch` with examples and batches in an order that depends on `seed` and `epoch` alone."""
    plans = plan_epoch(lengths, buckets, batch_size, permutation(len(lengths), seed, epoch, 0))
    return tuple(plans[place] for place in permutation(len(plans), seed, epoch, 1))
