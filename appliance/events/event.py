"""What every event is."""

from typing import ClassVar, Literal

import msgspec

Severity = Literal["info", "warning", "error"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all events; `study` and `order` are our own identifiers."""

    title: ClassVar[str] = ""
    severity: ClassVar[Severity] = "info"
    sentence: ClassVar[str] = ""

    study: str = ""
    order: str = ""

    @classmethod
    def name(cls) -> str:
        """The stable name, `OrderOpened` -> `order-opened`."""
        return "".join(("-" + letter.lower()) if letter.isupper() else letter for letter in cls.__name__)[1:]

    def text(self) -> str:
        """The sentence with this event's own values."""
        return self.sentence.format(**msgspec.structs.asdict(self))
