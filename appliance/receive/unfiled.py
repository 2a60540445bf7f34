"""How many acknowledged bytes still wait in the journal: each of them needs a second place on the disk for a while."""

import threading


class Unfiled:
    """Bytes that were acknowledged and need a second place on the disk when they are filed; counted from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = 0
        self.largest = 0

    @property
    def bytes(self) -> int:
        """How much is waiting."""
        return self._bytes

    def add(self, count: int) -> None:
        """More (or, below zero, less) is waiting."""
        with self._lock:
            self._bytes += count
            self.largest = max(self.largest, count)
