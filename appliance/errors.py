"""Every error of the house, named by what happens next.

    RanvierError
    |- Rejected        the peer is told, nothing is stored
    |- Retry           the same work is tried again after `after` seconds
    |  `- Waits        the same, and no attempt is counted: something is away that the study needs and is not to blame for
    |- Failed          the order ends and a failure report is made
    |- NeedsPerson     the order is held until somebody has looked
    |- Misconfigured   an operator must change a setting; shown on that field
    |- Denied          the caller may not do this
    |- Unknown         no such thing
    `- Conflict        the thing has changed or is not in the state for this

A class's docstring is its message; `{names}` in it are filled from the keyword arguments, which hold counts, tags,
our own identifiers and settings, never a patient's value. `code` is stable and appears in events, answers and logs.
`next_step` says what the reader can do.
"""

import inspect
from typing import ClassVar

Fact = str | int | float | bool | None


class RanvierError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    next_step: ClassVar[str] = "See the log for the same code, and run `ranvier doctor`."

    def __init__(self, **facts: Fact) -> None:
        self.facts = facts
        super().__init__(self.what)

    @property
    def what(self) -> str:
        """The message: the docstring's first paragraph with its names filled in."""
        text = " ".join(inspect.cleandoc(type(self).__doc__ or "").split("\n\n")[0].split())
        return text.format_map(_Facts(self.facts))

    @property
    def advice(self) -> str:
        """What the reader can do next."""
        return self.next_step.format_map(_Facts(self.facts))


class _Facts(dict[str, Fact]):
    """Leaves an unknown name visible instead of raising inside an error message."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


class Rejected(RanvierError):
    """The peer's request was refused."""

    code = "rejected"


class Retry(RanvierError):
    """This did not work now and is tried again."""

    code = "retry"

    def __init__(self, after: float = 30.0, **facts: Fact) -> None:
        self.after = after
        super().__init__(**facts)


class Waits(Retry):
    """What this needs is not there; it goes on by itself when it is."""

    code = "waits"


class Failed(RanvierError):
    """The order cannot go on."""

    code = "failed"


class NeedsPerson(RanvierError):
    """The order waits until a person has looked."""

    code = "needs-person"


class Misconfigured(RanvierError):
    """A setting must be changed before this can work."""

    code = "misconfigured"

    def __init__(self, field: str = "", **facts: Fact) -> None:
        self.field = field
        super().__init__(**{"field": field, **facts})


class Denied(RanvierError):
    """You are not allowed to do this."""

    code = "denied"
    next_step = "Sign in as somebody who may, or ask an administrator."


class Unknown(RanvierError):
    """There is no {kind} with this identifier."""

    code = "unknown"
    next_step = "Check the identifier; the list shows those that exist."


class Conflict(RanvierError):
    """This has changed since you looked, or is not in a state that allows it."""

    code = "conflict"
    next_step = "Load it again and repeat what you wanted to do."
