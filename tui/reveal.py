"""Which patients are shown in the clear, and until when.

The API sends identities only on request and writes each request into the audit log. Here they live for 30 seconds, in this
object only; whoever draws asks at that moment, so nothing can be drawn late.
"""

from collections.abc import Sequence

from tui.clock import Clock
from tui.contract import Identity

SECONDS = 30.0


class Reveals:
    """The identities that may be drawn now."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._identities: dict[str, Identity] = {}
        self._ends = 0.0

    def show(self, identities: Sequence[Identity]) -> None:
        """Adds identities; the time starts anew for all."""
        self._identities = {**(self._identities if self.open else {}), **{one.study: one for one in identities}}
        self._ends = self._clock.monotonic() + SECONDS

    def of(self, study: str) -> Identity | None:
        """The study's identity while it may be shown."""
        return self._identities.get(study) if self.open else None

    @property
    def open(self) -> bool:
        """Whether anything may be shown."""
        return bool(self._identities) and self._clock.monotonic() < self._ends

    @property
    def held(self) -> bool:
        """Whether identities are still in memory, shown or not."""
        return bool(self._identities)

    @property
    def seconds_left(self) -> int:
        """Whole seconds until everything is hidden."""
        return max(0, round(self._ends - self._clock.monotonic())) if self.open else 0

    def hide(self) -> None:
        """Forgets everything."""
        self._identities.clear()
        self._ends = 0.0
