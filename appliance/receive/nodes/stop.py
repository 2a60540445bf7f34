"""Telling who waits for a node that nobody wants the answer any more."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stop:
    """Asked from any thread, once; what is in hand then is interrupted at once, and what comes later is not begun."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._interrupt: Callable[[], object] | None = None

    @property
    def asked(self) -> bool:
        """Whether somebody wants it to end."""
        return self._asked

    def ask(self) -> None:
        """Wants it to end; again changes nothing."""
        with self._lock:
            if self._asked:
                return
            self._asked = True
            if self._interrupt is not None:
                self._interrupt()

    @contextmanager
    def interrupts(self, what: Callable[[], object]) -> Iterator[None]:
        """For the time of a block `what` is called when somebody asks; at once when somebody has asked already."""
        with self._lock:
            self._interrupt = what
            if self._asked:
                what()
        try:
            yield
        finally:
            with self._lock:
                self._interrupt = None
