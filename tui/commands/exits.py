"""The exit codes, after sysexits: what a script can act upon."""

from tui.trouble import Problem, StrangeAnswer, Trouble, Unreachable

DONE = 0
NEGATIVE = 1
PARTLY = 2
USAGE = 64
BAD_INPUT = 65
NOT_FOUND = 66
UNREACHABLE = 69
INTERNAL = 70
CANNOT_WRITE = 73
LATER = 75
STRANGE = 76
NOT_ALLOWED = 77
WAITED_TOO_LONG = 124
INTERRUPTED = 130

_BY_STATUS = {
    400: USAGE,
    401: NOT_ALLOWED,
    403: NOT_ALLOWED,
    404: NOT_FOUND,
    409: LATER,
    412: LATER,
    422: BAD_INPUT,
    423: LATER,
    429: LATER,
    503: LATER,
    507: LATER,
}


def code_of(trouble: Trouble) -> int:
    """The exit code of a trouble."""
    if isinstance(trouble, Unreachable):
        return UNREACHABLE
    if isinstance(trouble, StrangeAnswer):
        return STRANGE
    if isinstance(trouble, Problem):
        return _BY_STATUS.get(trouble.status, INTERNAL if trouble.status >= 500 else STRANGE)
    return CANNOT_WRITE
