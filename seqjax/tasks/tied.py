"""One table for what is read and what is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from seqjax.checks import check_function, kind_of
from seqjax.tasks.head import HeadParams
from seqjax.tasks.task import Task
from seqjax.types import Array, Key, Params


def tied(task: Task, table: Callable[[Params], Array]) -> Task:
    """A task whose head scores tokens by the table that embeds them (Press & Wolf, 2017; Inan et al., 2017).

    Equation: `logits = ys table^T + b`, in place of a kernel of the head's own. Both uses of the table
    contribute to its gradient. The features that the head reads must be as many as the table has.

    Args:
      task: a task whose head is an affine map, such as `categorical`.
      table: `(params) -> [V, E]`, where in the task's params the table is: for a `synced` stack that begins
        with `embed`, `lambda params: params.network[0].table`; for a task with a decoder,
        `lambda params: params.decoder.embedding.table`.

    Returns:
      A `Task` with the params of `task`, but `params.head.kernel` is `None`.

    Raises:
      TypeError: if `task` is no task, or `table` no function.
      ValueError: `init` raises it if there is no such table, or its shape is not the kernel's.

    Example:
      >>> import jax, seqjax as sj
      >>> network = sj.stack(sj.embed(9, 4), sj.gru(8), sj.dense(4))
      >>> task = tied(sj.tasks.synced(network, sj.heads.categorical(9)), lambda p: p.network[0].table)
      >>> params = task.init(jax.random.key(0), 1)
      >>> params.head.kernel is None
      True
    """
    if not isinstance(task, Task):
        raise TypeError(f"task is {kind_of(task)}, expected a Task such as seqjax.tasks.synced(...).")
    check_function("table", table, "a function of the params, such as lambda p: p.network[0].table")

    def whole(params: Params) -> Params:
        return replace(params, head=replace(params.head, kernel=table(params).T))

    def init(key: Key, input_size: int) -> Params:
        params = task.init(key, input_size)
        if not isinstance(params.head, HeadParams) or params.head.kernel is None:
            raise ValueError(
                f"task.head has {kind_of(params.head)}, expected HeadParams: tie a head that is an affine "
                f"map, such as categorical."
            )
        try:
            rows = table(params)
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise ValueError(f"table finds no array in these params: {error}.") from error
        expected = params.head.kernel.shape[::-1]
        if getattr(rows, "shape", None) != expected:
            raise ValueError(
                f"table has {kind_of(rows)}, expected shape {expected}, one row a class and as many features "
                f"as the head reads: choose equal sizes, or put a dense(features) before the head."
            )
        return replace(params, head=replace(params.head, kernel=None))

    def given_whole(function: Callable[..., Any] | None) -> Any:
        if function is None:
            return None
        return lambda params, *args, **options: function(whole(params), *args, **options)

    return task._replace(
        init=init,
        initial_carry=given_whole(task.initial_carry),
        loss=given_whole(task.loss),
        predict=given_whole(task.predict),
        step=given_whole(task.step),
        start=given_whole(task.start),
        attention_weights=given_whole(task.attention_weights),
    )
