"""How far a run is, and how long its steps took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from appliance.products.manifest import Manifest


class Steps:
    """Times each step, and tells how much of the whole is done by the shares of the manifest."""

    def __init__(self, manifest: Manifest, progress: Callable[[float, str], None]) -> None:
        self._steps = {one.name: one for one in manifest.steps}
        self._progress = progress
        self._done = 0.0
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, part: float = 1.0) -> Iterator[Callable[[float], None]]:
        """Runs one step, or `part` of it where it comes once a series; gives a function that takes the share done in it."""
        step = self._steps[name]
        begin, share = self._done, step.share * part
        started = time.perf_counter()
        self._progress(min(begin, 1.0), step.title)
        try:
            yield lambda inner: self._progress(min(begin + share * inner, 1.0), step.title)
        finally:
            self._done = begin + share
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 3)
        self._progress(min(self._done, 1.0), step.title)
