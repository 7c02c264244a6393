"""One long stream cut into chunks that follow each other, for truncated backpropagation through time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seqjax.data.orders import whole_number
from seqjax.data.padding import Numbers, as_numbers
from seqjax.types import Batch


def chunks(tokens: Sequence[int] | Numbers, batch_size: int, num_steps: int) -> Iterator[Batch]:
    """Cut a stream into `batch_size` rows side by side, and the rows into chunks of `num_steps`.

    Row `b` of each chunk continues row `b` of the one before, so a carry may be handed from chunk to chunk,
    and row `b + 1` begins where row `b` ends. Targets are the inputs one step later in the stream. All
    chunks have one shape; the remainder, fewer than `batch_size * num_steps` tokens at the end of the
    stream, is left out.

    Args:
      tokens: `[N]` integers, or `[N, ...]` features. Arrays keep their dtype; plain Python numbers become
        int32 or float32.
      batch_size: rows side by side, `B`.
      num_steps: steps a chunk, `T`.

    Returns:
      An iterator over batches with `inputs[T, B, ...]` and `targets[T, B, ...]`; other fields are `None`.

    Raises:
      TypeError: `tokens` does not hold numbers.
      ValueError: `batch_size` or `num_steps` is less than one, or the stream is too short for one chunk.

    >>> for batch in chunks(range(10), batch_size=2, num_steps=2):
    ...     print(batch.inputs.T.tolist(), batch.targets.T.tolist())
    [[0, 1], [4, 5]] [[1, 2], [5, 6]]
    [[2, 3], [6, 7]] [[3, 4], [7, 8]]
    """
    batch_size = whole_number(batch_size, "batch_size", 1)
    num_steps = whole_number(num_steps, "num_steps", 1)
    stream = as_numbers(tokens, "tokens")
    if stream.ndim == 0:
        raise ValueError("tokens has no time axis, expected [N] or [N, features].")
    count = (len(stream) - 1) // (batch_size * num_steps)
    if count < 1:
        raise ValueError(
            f"tokens has {len(stream)} steps, expected at least batch_size * num_steps + 1 = "
            f"{batch_size * num_steps + 1}: take fewer rows or steps."
        )
    inputs = _side_by_side(stream[:-1], batch_size, count * num_steps)
    targets = _side_by_side(stream[1:], batch_size, count * num_steps)
    starts = range(0, count * num_steps, num_steps)
    return (Batch(inputs=inputs[at : at + num_steps], targets=targets[at : at + num_steps]) for at in starts)


def _side_by_side(stream: Numbers, batch_size: int, row_steps: int) -> Numbers:
    rows = stream[: batch_size * row_steps].reshape(batch_size, row_steps, *stream.shape[1:])
    return rows.swapaxes(0, 1)
