"""What workers tell the screens: workers never touch widgets, they post these."""

from dataclasses import dataclass

from textual.message import Message

from tui.contract import LiveEvent
from tui.trouble import Trouble


@dataclass
class LiveUp(Message):
    """The live stream is connected; `resumed` says that nothing was missed."""

    resumed: bool


@dataclass
class LiveLost(Message):
    """The live stream broke and is opened again in `seconds`."""

    reason: str
    seconds: float


@dataclass
class Happened(Message):
    """An event came over the live stream."""

    event: LiveEvent


@dataclass
class Went(Message):
    """A request that somebody asked for is done."""

    said: str


@dataclass
class WentWrong(Message):
    """A request did not succeed."""

    trouble: Trouble


@dataclass
class NotLoaded(Message):
    """What a page shows did not come."""

    trouble: Trouble


class SessionEnded(Message):
    """The API asks to sign in again."""
