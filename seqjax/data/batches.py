"""Batches of sequences of different lengths: few shapes, a seeded order, resumed where they stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from seqjax.data.orders import whole_number
from seqjax.data.padding import Numbers, Ragged, as_numbers, bucket_lengths, check_fill, gather, ragged
from seqjax.data.plans import Plan, plan_epoch, shuffled_plan
from seqjax.types import Batch

TargetKind = Literal["labels", "steps", "sequences"]
_STATE = ("epoch", "position", "seed", "fingerprint")


class Batches(Iterator[Batch]):
    """An iterator over padded batches, which `state` and `restore` continue where it stopped.

    Examples of about the same length share a batch, padded to one of at most `max_buckets` lengths, chosen
    to need the least padding. Every batch has `batch_size` rows, so those lengths are all the shapes there
    are to compile. Each epoch holds every example once, in `ceil(N / batch_size)` batches; at most one of
    them is filled up with rows of length 0 and weight 0. The order depends on `seed` and the epoch alone.

    A batch has `inputs[T, B, ...]`, `lengths[B]` int32, `weights[B]` float32, 1 for an example and 0 for a
    row that fills up, and `targets` as `targets_are` says:

    | `targets_are` | `targets` is | in a batch |
    | --- | --- | --- |
    | `"labels"` | `[N, ...]`, one for each sequence | `targets[B, ...]` |
    | `"steps"` | `N` sequences as long as their inputs | `targets[T, B, ...]` |
    | `"sequences"` | `N` sequences of their own lengths | `targets[T', B, ...]`, `target_lengths[B]` |

    `T'` is fixed for each bucket of inputs, so it adds no shapes.

    Args:
      inputs: `N` sequences, each `[t]` or `[t, D]`; `t` may be zero. Arrays keep their dtype; plain Python
        numbers become int32 or float32.
      targets: what to predict, or `None`.
      batch_size: rows a batch.
      seed: which order.
      targets_are: what `targets` holds; no shape is guessed from.
      shuffle: whether the order changes at random from epoch to epoch. Without, it is the examples' own
        within each length.
      epochs: how many epochs to give; `None` never ends.
      max_buckets: how many lengths to pad to at most.
      padding: what fills inputs past their end.
      target_padding: what fills targets past their end, and the labels of rows that fill up.

    Raises:
      TypeError: inputs or targets do not hold numbers.
      ValueError: an argument is out of range, or the targets do not fit the inputs.

    >>> batches = Batches([[5, 6], [7], [8, 9, 10]], [0, 1, 0], batch_size=2, shuffle=False, epochs=1)
    >>> for batch in batches:
    ...     print(batch.inputs.tolist(), batch.targets.tolist(), batch.weights.tolist())
    [[7, 5], [0, 6]] [1, 0] [1.0, 1.0]
    [[8, 0], [9, 0], [10, 0]] [0, 0] [1.0, 0.0]
    """

    def __init__(
        self,
        inputs: Sequence[Any],
        targets: Any = None,
        *,
        batch_size: int,
        seed: int = 0,
        targets_are: TargetKind = "labels",
        shuffle: bool = True,
        epochs: int | None = None,
        max_buckets: int = 8,
        padding: float = 0,
        target_padding: float = 0,
    ) -> None:
        """See the class."""
        self._inputs = ragged(inputs, "inputs")
        if not len(self._inputs.lengths):
            raise ValueError("inputs is empty, expected at least one sequence.")
        self._targets = _read_targets(targets, targets_are, self._inputs.lengths)
        self._batch_size = whole_number(batch_size, "batch_size", 1)
        self._seed = whole_number(seed, "seed", 0)
        self._epochs = None if epochs is None else whole_number(epochs, "epochs", 0)
        if not isinstance(shuffle, bool):
            raise TypeError(f"shuffle is {shuffle!r}, expected True or False.")
        self._shuffle = shuffle
        self._steps = targets_are == "steps"
        self._buckets = bucket_lengths(self._inputs.lengths, max_buckets)
        self._target_buckets = _target_buckets(self._targets, self._inputs.lengths, self._buckets)
        self._padding = check_fill(padding, self._inputs.values.dtype, "padding")
        self._target_padding = _check_target_fill(target_padding, self._targets)
        self._epoch = 0
        self._position = 0
        self._plans: tuple[int, tuple[Plan, ...]] | None = None

    def __next__(self) -> Batch:
        """Return the next batch, or raise `StopIteration` after the last epoch."""
        if self._epochs is not None and self._epoch >= self._epochs:
            raise StopIteration
        plans = self.plans(self._epoch)
        batch = self._build(plans[self._position])
        self._position += 1
        if self._position == len(plans):
            self._epoch, self._position = self._epoch + 1, 0
        return batch

    @property
    def batches_per_epoch(self) -> int:
        """How many batches hold every example once."""
        return -(-len(self._inputs.lengths) // self._batch_size)

    @property
    def buckets(self) -> tuple[int, ...]:
        """The lengths inputs are padded to, increasing."""
        return self._buckets

    def plans(self, epoch: int) -> tuple[Plan, ...]:
        """Return which examples make up each batch of an epoch, in the order the batches come.

        It tells which example a prediction is of: row `b` of batch `i` is example `plans(epoch)[i].rows[b]`,
        and -1 is a row that fills up.

        Raises:
          ValueError: `epoch` is negative.
        """
        epoch = whole_number(epoch, "epoch", 0)
        if self._plans is None or self._plans[0] != epoch:
            lengths, size = self._inputs.lengths, self._batch_size
            if self._shuffle:
                plans = shuffled_plan(lengths, self._buckets, size, self._seed, epoch)
            else:
                plans = plan_epoch(lengths, self._buckets, size, np.arange(len(lengths)))
            self._plans = (epoch, plans)
        return self._plans[1]

    def epoch_batches(self, epoch: int = 0) -> Iterator[Batch]:
        """Return the batches of one epoch, without moving this iterator: an evaluation pass.

        Raises:
          ValueError: `epoch` is negative.
        """
        return map(self._build, self.plans(epoch))

    def state(self) -> dict[str, int | str]:
        """Return where the iterator stands, as a small dictionary that JSON can hold.

        Returns:
          `epoch`; `position`, the next batch's number within it; `seed`; `fingerprint` of data and options.
        """
        return {
            "epoch": self._epoch,
            "position": self._position,
            "seed": self._seed,
            "fingerprint": self._fingerprint,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`: what follows is what would have followed there.

        Raises:
          TypeError, ValueError: `state` is not of that form, or was taken from batches of other data, another
            seed, or other options. `epochs` may differ. The iterator is left as it was.
        """
        given: Any = state
        if not isinstance(given, Mapping) or set(given) != set(_STATE):
            names = sorted(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
            raise ValueError(
                f"state is {names}, expected a dictionary of {', '.join(_STATE)}, as state() gives."
            )
        epoch = whole_number(state["epoch"], "state['epoch']", 0)
        position = whole_number(state["position"], "state['position']", 0)
        if state["seed"] != self._seed:
            raise ValueError(
                f"state['seed'] is {state['seed']!r}, but seed is {self._seed}: give the same seed."
            )
        if state["fingerprint"] != self._fingerprint:
            raise ValueError(
                f"state['fingerprint'] is {state['fingerprint']!r}, but this is {self._fingerprint!r}: "
                "the data or the options differ from those the state was taken with. Give the same."
            )
        if position >= self.batches_per_epoch:
            raise ValueError(
                f"state['position'] is {position}, but an epoch has {self.batches_per_epoch} batches: "
                "give what state() gave."
            )
        self._epoch, self._position = epoch, position

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        options = (self._batch_size, self._shuffle, self._steps, self._buckets, self._target_buckets)
        digest.update(repr((*options, self._padding.item(), self._target_padding.item())).encode())
        for part in (
            *self._inputs,
            *(self._targets if isinstance(self._targets, Ragged) else [self._targets]),
        ):
            if part is not None:
                digest.update(f"{part.dtype}{part.shape}".encode())
                digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()[:16]

    def _build(self, plan: Plan) -> Batch:
        rows = plan.rows
        targets: Numbers | None = None
        target_lengths = None
        if isinstance(self._targets, Ragged):
            targets = gather(self._targets, rows, self._target_buckets[plan.bucket], self._target_padding)
            target_lengths = None if self._steps else _lengths(self._targets, rows)
        elif self._targets is not None:
            targets = self._targets[rows]
            targets[rows < 0] = self._target_padding
        return Batch(
            inputs=gather(self._inputs, rows, self._buckets[plan.bucket], self._padding),
            targets=targets,
            lengths=_lengths(self._inputs, rows),
            target_lengths=target_lengths,
            weights=(rows >= 0).astype(np.float32),
        )


def _lengths(packed: Ragged, rows: Numbers) -> Numbers:
    return np.where(rows >= 0, packed.lengths[rows], 0).astype(np.int32)


def _read_targets(targets: Any, targets_are: str, lengths: Numbers) -> Ragged | Numbers | None:
    if targets_are not in get_args(TargetKind):
        raise ValueError(
            f"targets_are is {targets_are!r}, expected one of {', '.join(get_args(TargetKind))}."
        )
    if targets is None:
        return None
    if len(targets) != len(lengths):
        raise ValueError(
            f"targets has {len(targets)} entries, but inputs has {len(lengths)}: give one for each."
        )
    if targets_are == "labels":
        return as_numbers(targets, "targets")
    packed = ragged(targets, "targets")
    if targets_are == "steps" and not np.array_equal(packed.lengths, lengths):
        place = int(np.argmax(packed.lengths != lengths))
        raise ValueError(
            f"targets[{place}] has {packed.lengths[place]} steps, but inputs[{place}] has {lengths[place]}: "
            "give as many, or say targets_are='sequences'."
        )
    return packed


def _target_buckets(targets: Any, lengths: Numbers, buckets: tuple[int, ...]) -> tuple[int, ...]:
    """Return how many steps targets have in each bucket: enough for all that may be put there."""
    if not isinstance(targets, Ragged):
        return ()
    if np.array_equal(targets.lengths, lengths):
        return buckets
    # Examples left over move to longer buckets, so a bucket may hold any example that its length can.
    longest = [targets.lengths[lengths <= bucket].max(initial=1) for bucket in buckets]
    return tuple(int(length) for length in longest)


def _check_target_fill(value: float, targets: Ragged | Numbers | None) -> Numbers:
    if targets is None:
        return np.asarray(value)
    values = targets.values if isinstance(targets, Ragged) else targets
    return check_fill(value, values.dtype, "target_padding")
