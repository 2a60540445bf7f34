"""The crash matrix of the manual: what was brought about, what happened, what was lost; written by the tests that do it.

A test ends with `tried(...)`. Its row must stand in `appliance/docs/crash-matrix.md` word by word; with
`RANVIER_WRITE_MATRIX=1` it is put there. So the page cannot say what no test has seen.
"""

import fcntl
import os
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "appliance" / "docs" / "crash-matrix.md"
HEAD = """# What was tried on receiving, and what was lost

Each line is a fault that a test of this version brings about on a running receiver, with other people's senders or with its
own. The line is written by that test, which fails where it is not what it saw. *Lost* counts instances that were answered with
success and are not found afterwards, equal by hash.

| fault | what was injected | what happened | lost |
|---|---|---|---|
"""


def row(fault: str, injected: str, happened: str, lost: int) -> str:
    """One line of the table."""
    return "| " + " | ".join((fault, injected, happened, str(lost))) + " |"


def tried(fault: str, *, injected: str, happened: str, lost: int = 0) -> None:
    """Demands that the manual says what this test saw, or writes it there."""
    line = row(fault, injected, happened, lost)
    if os.environ.get("RANVIER_WRITE_MATRIX"):
        _write(fault, line)
    assert line in PAGE.read_text().splitlines(), f"crash-matrix.md does not say: {line}"


def rows() -> list[str]:
    """The lines of the table as the manual has them."""
    return [line for line in PAGE.read_text().splitlines()[HEAD.count("\n") :] if line.startswith("| ")]


def _write(fault: str, line: str) -> None:
    lock = os.open(PAGE.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = rows() if PAGE.exists() else []
        found = [line if one.startswith(f"| {fault} |") else one for one in kept]
        PAGE.write_text(HEAD + "\n".join(found if line in found else sorted([*found, line])) + "\n")
    finally:
        os.close(lock)
        PAGE.with_suffix(".lock").unlink(missing_ok=True)
