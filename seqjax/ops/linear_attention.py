"""Linear attention: matrices that are written by outer products, decay, and are read by queries.

Axes beside those of `types.py`: `N` heads, `K` features of a key, `V` features of a value. An axis of size
one for heads, in queries and keys, serves all of them.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from flax import struct

from seqjax.ops.ragged import select
from seqjax.ops.unit_triangular import inverse_plus_one
from seqjax.types import Array, PyTree


@struct.dataclass
class MatrixCarry:
    """What linear attention hands from step to step.

    Attributes:
      matrix: `[*B, N, K, V]`; divided by `exp(log_scale)`, where there is one.
      log_scale: `[*B, N]`, finite, or `None`.
    """

    matrix: Array
    log_scale: Array | None = None


class Restart(NamedTuple):
    """Where the carry returns to what it was at the start.

    Attributes:
      reset: `[..., *B]` booleans, true where it does so before the step.
      initial: a `MatrixCarry` without batch axes.
    """

    reset: Array
    initial: MatrixCarry


class Entries(NamedTuple):
    """What is written at each step, and what it is read with; leading axes are `[*B]` or `[T, *B]`.

    Attributes:
      query: `[..., N, K]`.
      key: `[..., N, K]`.
      value: `[..., N, V]`.
      log_decay: `[..., N]`, finite.
      log_write: `[..., N]`, the logarithm of what the value is multiplied with, for weights of any size: the
        matrix is then held divided by the greatest of them. `None` for weights that stand in the key.
      erase: `[..., N, K]`; what it reads of the decayed matrix is taken from the value that is written (the
        delta rule). `None` for nothing. Not together with `log_write`.
      restart: a `Restart`, or `None`.
    """

    query: Array
    key: Array
    value: Array
    log_decay: Array
    log_write: Array | None = None
    erase: Array | None = None
    restart: Restart | None = None


class Read(NamedTuple):
    """What the queries read.

    Attributes:
      vectors: `[..., N, V]`; divided by `exp(log_scale)`, where there is one.
      log_scale: `[..., N]`, that of the carry after the step, or `None`.
    """

    vectors: Array
    log_scale: Array | None


def attention_step(carry: MatrixCarry, entries: Entries) -> tuple[MatrixCarry, Read]:
    """One step, as it is written: the reference of `linear_attention`.

    Equations: `M = exp(log_decay) S`, `S' = M + exp(log_write) key (value - erase M)ᵀ`, `query S'`. Where
    `log_write` is given, `S = exp(log_scale) matrix` with
    `log_scale' = max(log_decay + log_scale, log_write)` (Beck et al., 2024, eq. 15), and no exponential
    overflows.

    Args:
      carry: before the step.
      entries: of one step, leading axes `[*B]`.

    Returns:
      The carry after the step, and what was read.

    Raises:
      ValueError: if `entries` has both `log_write` and `erase`.

    Example:
      >>> ones = jnp.ones((1, 2))
      >>> carry, read = attention_step(MatrixCarry(jnp.eye(2)[None]), Entries(ones, ones, ones, jnp.zeros(1)))
      >>> read.vectors.tolist()
      [[3.0, 3.0]]
    """
    _check(entries)
    if entries.restart is not None:
        carry = select(entries.restart.reset, entries.restart.initial, carry)
    log_scale, decay, key, value = None, jnp.exp(entries.log_decay), entries.key, entries.value
    if entries.log_write is not None:
        log_kept = entries.log_decay + _scale_of(carry)
        log_scale = jnp.maximum(log_kept, entries.log_write)
        decay = jnp.exp(log_kept - log_scale)
        key = jnp.exp(entries.log_write - log_scale)[..., None] * key
    kept = decay[..., None, None] * carry.matrix
    if entries.erase is not None:
        value = value - jnp.sum(entries.erase[..., None] * kept, -2)
    matrix = kept + key[..., None] * value[..., None, :]
    read = Read(jnp.sum(entries.query[..., None] * matrix, -2), log_scale)
    return MatrixCarry(matrix, log_scale), read


def linear_attention(
    carry: MatrixCarry, entries: Entries, *, chunk_size: int = 64
) -> tuple[MatrixCarry, Read]:
    """`attention_step` over time, a chunk of steps at once.

    Within a chunk, what step `t` reads of step `s` is `w_ts (q_t · k_s) u_s`, with `w_ts` the decays between
    them: products of matrices, for all steps at once (Hua et al., 2022; Dao & Gu, 2024, section 6). Only the
    matrix at the start of each chunk is ever stored, and for the gradient too, which computes the chunk
    again.

    What a step writes is `u = value` without `erase`. With it `u` depends on all that the chunk wrote before:
    `(I + L) U = values - E S`, with `L_ts = w_ts (e_t · k_s)` for `s < t` and `E S` what `erase` reads of the
    matrix that entered, decayed (Yang et al., 2024, section 3.3).

    Sums of logarithms of decays are taken between each two steps and never as a difference, which would be
    off where one step forgets nearly all.

    Args:
      carry: before the first step.
      entries: leading axes `[T, *B]`.
      chunk_size: steps a chunk. A step costs about `chunk_size (K + V)` multiplications a head within its
        chunk, and `2 K V` with the matrix.

    Returns:
      The carry after the last step, and what was read, `[T, *B, ...]`.

    Raises:
      ValueError: if `entries` has both `log_write` and `erase`.

    Example:
      >>> ones = jnp.ones((3, 1, 2))
      >>> carry, read = linear_attention(
      ...     MatrixCarry(jnp.eye(2)[None]), Entries(ones, ones, ones, ones[..., 0])
      ... )
      >>> read.vectors.shape
      (3, 1, 2)
    """
    _check(entries)
    num_steps = entries.value.shape[0]
    size = max(1, min(chunk_size, num_steps))
    num_chunks = -(-num_steps // size)
    reset, initial = (None, None) if entries.restart is None else entries.restart

    def cut(leaf: Array, filler: float = 0.0) -> Array:
        missing = num_chunks * size - num_steps
        leaf = jnp.pad(leaf, [(0, missing)] + [(0, 0)] * (leaf.ndim - 1), constant_values=filler)
        return leaf.reshape(num_chunks, size, *leaf.shape[1:])

    # What fills the last chunk up writes nothing and lets nothing decay.
    log_write = None if entries.log_write is None else cut(entries.log_write, -jnp.inf)
    rest = entries._replace(log_write=None, restart=None)
    chunks = jax.tree.map(cut, rest)._replace(log_write=log_write)
    resets = None if reset is None else cut(reset, False)

    @partial(jax.checkpoint, prevent_cse=False)
    def one(carry: MatrixCarry, chunk: Entries, reset: Array | None, initial: MatrixCarry | None) -> tuple:
        restart = None if reset is None or initial is None else Restart(reset, initial)
        return _chunk(carry, chunk._replace(restart=restart))

    carry, read = jax.lax.scan(lambda carry, inputs: one(carry, *inputs, initial), carry, (chunks, resets))
    read = jax.tree.map(lambda leaf: leaf.reshape(num_chunks * size, *leaf.shape[2:])[:num_steps], read)
    return carry, read


def skip_where(skipped: Array, entries: Entries) -> Entries:
    """Entries that leave the carry as it was at some steps.

    Args:
      skipped: `[..., *B]` booleans.
      entries: with the same leading axes.

    Returns:
      `Entries`.

    Example:
      >>> ones = jnp.ones((1, 2))
      >>> entries = skip_where(jnp.array(True), Entries(ones, ones, ones, -ones[:, 0]))
      >>> attention_step(MatrixCarry(jnp.eye(2)[None]), entries)[0].matrix[0].tolist()
      [[1.0, 0.0], [0.0, 1.0]]
    """

    def fill(leaf: Array, filler: float) -> Array:
        return select(skipped, jnp.full_like(leaf, filler), leaf)

    changes: dict[str, PyTree] = {"log_decay": fill(entries.log_decay, 0.0), "key": fill(entries.key, 0.0)}
    if entries.log_write is not None:
        changes["log_write"] = fill(entries.log_write, -jnp.inf)
    if entries.restart is not None:
        changes["restart"] = entries.restart._replace(reset=entries.restart.reset & ~skipped)
    return entries._replace(**changes)


def _check(entries: Entries) -> None:
    if entries.log_write is not None and entries.erase is not None:
        raise ValueError(
            "entries has both log_write and erase, expected one of them: let key hold the weights and erase."
        )


def _chunk(carry: MatrixCarry, entries: Entries) -> tuple[MatrixCarry, Read]:
    """All steps of a chunk at once."""
    query, key, value = (jnp.moveaxis(x, 0, -2) for x in (entries.query, entries.key, entries.value))
    decays = jnp.moveaxis(entries.log_decay, 0, -1)  # [*B, N, C]
    steps = jnp.arange(decays.shape[-1])
    seen = steps[:, None] >= steps
    started = None
    if entries.restart is not None:
        sequence = jnp.moveaxis(jnp.cumsum(entries.restart.reset, 0), 0, -1)[..., None, :]  # [*B, 1, C]
        seen = seen & (sequence[..., :, None] == sequence[..., None, :])
        started = sequence > 0

    def entered(of_carry: Array, of_initial: Array) -> Array:
        """Of two arrays `[*B, N, C, ...]` that of the carry, or after a reset that of the start."""
        return of_carry if started is None else select(started, of_initial, of_carry)

    # Column 0: from before the chunk, or from the reset, up to each step; the others: after each step.
    after = steps[:, None] > jnp.arange(-1, steps.size)
    sums = _product(seen.astype(decays.dtype), jnp.where(after, decays[..., None], 0.0))
    log_entering, log_weights = sums[..., 0], jnp.where(seen, sums[..., 1:], -jnp.inf)
    start = carry if entries.restart is None else entries.restart.initial
    log_scale = None
    if entries.log_write is not None:
        log_weights += jnp.moveaxis(entries.log_write, 0, -1)[..., None, :]
        log_entering += entered(_scale_of(carry)[..., None], _scale_of(start)[..., None])
        log_scale = jnp.maximum(jnp.max(log_weights, -1), log_entering)
        log_weights, log_entering = log_weights - log_scale[..., None], log_entering - log_scale
    weights, entering = jnp.exp(log_weights), jnp.exp(log_entering)

    def read_entered(rows: Array) -> Array:
        of_carry = _product(rows, carry.matrix)
        of_start = of_carry if started is None else _product(rows, start.matrix)
        return entering[..., None] * entered(of_carry, of_start)

    if entries.erase is not None:
        erase = jnp.moveaxis(entries.erase, 0, -2)
        value = value - read_entered(erase)
        value = _product(inverse_plus_one(weights * _product(erase, key.mT)), value)
    vectors = read_entered(query) + _product(weights * _product(query, key.mT), value)
    written = _product((weights[..., -1, :, None] * key).mT, value)
    last = carry.matrix if started is None else select(started[..., -1], start.matrix, carry.matrix)
    matrix = entering[..., -1, None, None] * last + written
    after_last = None if log_scale is None else log_scale[..., -1]
    by_step = None if log_scale is None else jnp.moveaxis(log_scale, -1, 0)
    return MatrixCarry(matrix, after_last), Read(jnp.moveaxis(vectors, -2, 0), by_step)


def _scale_of(carry: MatrixCarry) -> Array:
    return cast(Array, carry.log_scale)


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
