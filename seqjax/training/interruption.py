"""Signals that ask a training to stop: the step is finished, saved, and then the process ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A training that was asked to stop, and has saved where it stood; the message says how to go on.

    Attributes:
      signal: the signal's number.
    """

    def __init__(self, message: str, number: int) -> None:
        """The message, and the signal's number."""
        super().__init__(message)
        self.signal = number


class Request:
    """Whether a signal came.

    Attributes:
      signal: its number, or `None`.
    """

    signal: int | None = None


@contextmanager
def interruptions(listening: bool) -> Iterator[Request]:
    """Notes the first SIGINT or SIGTERM; a second one ends the process at once.

    Args:
      listening: whether to; signals can be listened to by the main thread alone, elsewhere they are left as
        they are.

    Yields:
      A `Request`, whose `signal` is set when one comes.

    Example:
      >>> with interruptions(True) as request:
      ...     signal.raise_signal(signal.SIGTERM)
      ...     request.signal == signal.SIGTERM
      True
    """
    request = Request()
    if not listening or threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        request.signal = number
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
