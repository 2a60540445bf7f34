"""Where pynetdicom's thread of an association waits while somebody else asks the peer and reads its answer.

The library tells the asker that its thread waits by a flag, which stands for a moment also when the thread only passes. An
asker that looks at that moment goes on, and the thread then takes the answer off the queue: a C-STORE that succeeded is given
up at the time-out. On a busy machine that was one answer of 1,600. Written against pynetdicom 3.0; a test shows fault and cure.
"""

import threading
from typing import Any

_LOOK_AGAIN_S = 0.05


class Checkpoint(threading.Event):
    """An event whose `clear` returns only once the thread that passes it really waits, or has ended."""

    def __init__(self, passing: threading.Thread) -> None:
        super().__init__()
        self._passing = passing
        self._changed = threading.Condition()
        self._open = True
        self._waits = False

    def is_set(self) -> bool:
        """Whether the thread may pass."""
        return self._open

    def set(self) -> None:
        """Lets the thread pass."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Stops the thread at its next `wait` and returns when it stands there."""
        with self._changed:
            self._open = False
            if threading.current_thread() is self._passing:
                return
            while not (self._waits or self._open) and self._passing.is_alive():
                self._changed.wait(_LOOK_AGAIN_S)

    def wait(self, timeout: float | None = None) -> bool:
        """The thread passes, or waits until it may."""
        with self._changed:
            self._waits = True
            self._changed.notify_all()
            passed = self._changed.wait_for(lambda: self._open, timeout)
            self._waits = False
        return passed


def undisturbed(association: Any) -> Any:
    """The association we asked for, its answers safe from its own thread."""
    association._reactor_checkpoint = Checkpoint(association)
    return association
