"""Products over time of an associative operation: the parallel way to run a recurrence."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from seqjax.types import Array, PyTree

Combine = Callable[[PyTree, PyTree], PyTree]


def prefix_scan(combine: Combine, elements: PyTree, *, reverse: bool = False, chunk_size: int = 32) -> PyTree:
    """All products `e_0 ∘ e_1 ∘ ... ∘ e_t` of an associative operation, in parallel over time.

    Time is cut into chunks. The products within the chunks are a loop of `chunk_size` steps over all chunks
    at once, the products of whole chunks a doubling loop (Hillis & Steele, 1986) of log2(T / chunk_size)
    steps, and one more combination puts both together: about two combinations an element,
    `chunk_size + log2(T)` of them one after another. `combine` is compiled three times whatever T is, where
    `jax.lax.associative_scan` compiles it 2 log2(T) times: for filters, whose combinations are long programs,
    that decides.

    Args:
      combine: `(earlier, later) -> product`, associative, on pytrees like `elements`; the first axis counts
        pairs. It must give finite results and gradients for any two neighbouring products.
      elements: a pytree of arrays `[T, ...]`.
      reverse: whether to give `e_t ∘ ... ∘ e_{T-1}` instead. `combine` gets the earlier one first even so.
      chunk_size: number of steps in a chunk. 1 leaves only the doubling loop.

    Returns:
      The products, like `elements`.

    Raises:
      ValueError: if `chunk_size` is not positive.

    Example:
      >>> prefix_scan(jnp.add, jnp.arange(5)).tolist()
      [0, 1, 3, 6, 10]
      >>> prefix_scan(jnp.add, jnp.arange(5), reverse=True).tolist()
      [10, 10, 9, 7, 4]
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size is {chunk_size}, expected a positive integer.")
    num_steps = jax.tree.leaves(elements)[0].shape[0]
    if num_steps < 2:
        return elements
    if reverse:
        flipped = prefix_scan(
            lambda later, earlier: combine(earlier, later), _flip(elements), chunk_size=chunk_size
        )
        return _flip(flipped)
    size = min(chunk_size, num_steps)
    num_chunks = -(-num_steps // size)
    chunks = jax.tree.map(lambda leaf: _chunked(leaf, num_chunks, size), elements)
    within = _scan_within(combine, chunks)
    if num_chunks > 1:
        totals = jax.tree.map(lambda leaf: leaf[-1, :-1], within)
        within = _join(combine, _doubling(combine, totals), within)
    return jax.tree.map(lambda leaf: _unchunked(leaf, num_steps), within)


def _flip(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.flip(leaf, 0), tree)


def _chunked(leaf: Array, num_chunks: int, size: int) -> Array:
    """[T, ...] -> [size, num_chunks, ...]; the last element fills up; what comes of it is cut off."""
    missing = num_chunks * size - leaf.shape[0]
    if missing:
        leaf = jnp.concatenate([leaf, jnp.broadcast_to(leaf[-1:], (missing, *leaf.shape[1:]))])
    return jnp.swapaxes(leaf.reshape(num_chunks, size, *leaf.shape[1:]), 0, 1)


def _unchunked(leaf: Array, num_steps: int) -> Array:
    """[size, num_chunks, ...] -> [T, ...]."""
    size, num_chunks, *rest = leaf.shape
    return jnp.swapaxes(leaf, 0, 1).reshape(num_chunks * size, *rest)[:num_steps]


def _scan_within(combine: Combine, chunks: PyTree) -> PyTree:
    """Products from the beginning of each chunk: [size, num_chunks, ...] -> the same."""
    first = jax.tree.map(lambda leaf: leaf[0], chunks)
    rest = jax.tree.map(lambda leaf: leaf[1:], chunks)

    def step(product: PyTree, element: PyTree) -> tuple[PyTree, PyTree]:
        product = combine(product, element)
        return product, product

    _, products = jax.lax.scan(step, first, rest)
    return jax.tree.map(lambda one, more: jnp.concatenate([one[None], more]), first, products)


def _doubling(combine: Combine, elements: PyTree) -> PyTree:
    """Products over the first axis: each step combines with what stands 1, 2, 4, ... places before."""
    count = jax.tree.leaves(elements)[0].shape[0]
    index = jnp.arange(count)

    def step(products: PyTree, shift: Array) -> tuple[PyTree, None]:
        before = jax.tree.map(lambda leaf: jnp.roll(leaf, shift, axis=0), products)
        # The rolled-in elements are neighbours in a wrong order, which is why `combine` must take any two.
        combined = combine(before, products)

        def select(new: Array, old: Array) -> Array:
            return jnp.where((index >= shift).reshape(-1, *(1,) * (old.ndim - 1)), new, old)

        return jax.tree.map(select, combined, products), None

    shifts = 2 ** jnp.arange((count - 1).bit_length())
    return jax.lax.scan(step, elements, shifts)[0]


def _join(combine: Combine, totals: PyTree, within: PyTree) -> PyTree:
    """What came before each chunk but the first, combined with the products within it."""
    size = jax.tree.leaves(within)[0].shape[0]

    def flat(leaf: Array) -> Array:
        return leaf.reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:])

    before = jax.tree.map(lambda leaf: flat(jnp.broadcast_to(leaf, (size, *leaf.shape))), totals)
    later = jax.tree.map(lambda leaf: flat(leaf[:, 1:]), within)
    joined = combine(before, later)
    return jax.tree.map(
        lambda leaf, new: jnp.concatenate([leaf[:, :1], new.reshape(leaf[:, 1:].shape)], axis=1),
        within,
        joined,
    )
