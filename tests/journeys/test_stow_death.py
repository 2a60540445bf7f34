"""STOW-RS while the process that takes it is being killed: what an answer called stored is there afterwards."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from appliance.house import HOME_VARIABLE
from tests.api.front import prepared
from tests.journeys.test_receiving_death import check_after_death
from tests.matrix import tried
from tests.phantoms import PhantomStudy
from tests.receiving import Receiver, Section
from tests.senders import Sent, digest
from tests.servers import a_free_port, answers, until
from tests.stowing import STOW_STEPS

BATCH = 3
"""Instances of each request but the first, which brings one, so that one is answered before the process dies."""
QUICKLY = "after the record is synced, before the answer"
"""Of the quick set; the others run in the long one."""


@dataclass
class Answered:
    """What the answers named as stored."""

    acknowledged: list[str] = field(default_factory=list)


@pytest.mark.parametrize(
    "step", [step if step == QUICKLY else pytest.param(step, marks=pytest.mark.long) for step in STOW_STEPS]
)
async def test_death_at_every_step_of_stow_loses_nothing_that_was_answered(
    step: str, tmp_path: Path, phantom: PhantomStudy
) -> None:
    """REC-09, faults row 1: the same durability as C-STORE; kill -9 of the API at this very step."""
    files, home, port = phantom.files[:18], tmp_path / "home", a_free_port()
    token = await prepared(home, port)
    after = 9 if STOW_STEPS[step][1] in ("os.pwritev", "os.fdatasync") else 1 if "answer is made" in step else 0
    answered = Answered()
    with _api(home, step, after) as process:
        until(lambda: answers(port) or process.poll() is not None, "the API listens")
        _send(port, token, files, answered)
        until(lambda: process.poll() is not None, f"the API dies {step}")
    instances = [Sent.of(path) for path in files]
    receiver = Receiver(home, Section(quiet_seconds=1))
    with contextlib.closing(receiver):
        await check_after_death(receiver, answered, instances)
    if "before the answer" in step:
        assert 0 < len(answered.acknowledged) < len(files), "it died in the middle"
    if step == QUICKLY:
        happened = "all that an answer called stored is there, whole and once; the rest can be sent again"
        tried(
            "kill -9 of the API during STOW-RS",
            injected="SIGKILL at each step; one quickly, all in the long set",
            happened=happened,
        )


@contextlib.contextmanager
def _api(home: Path, step: str, after: int) -> Iterator[subprocess.Popen[bytes]]:
    with (home / "output-for-test").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.stowing", step, str(after)],
            env={**os.environ, HOME_VARIABLE: str(home)},
            stdout=output,
            stderr=output,
            cwd=Path(__file__).resolve().parents[2],
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def _send(port: int, token: str, files: list[Path], answered: Answered) -> None:
    """Batch after batch until the server is gone; notes what each answer names as stored."""
    known = {Sent.of(path).sop_instance: digest(Sent.of(path).data) for path in files}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
        for begin in (0, *range(1, len(files), BATCH)):
            parts = [
                b"--b\r\nContent-Type: application/dicom\r\n\r\n" + path.read_bytes()
                for path in files[begin : begin + BATCH if begin else 1]
            ]
            try:
                answer = client.post("/dicom-web/studies", content=b"\r\n".join([*parts, b"--b--\r\n"]))
            except httpx.TransportError:
                return
            assert answer.status_code == 200, answer.text
            stored = answer.json()["00081199"]["Value"]
            answered.acknowledged += [known[one["00081155"]["Value"][0]] for one in stored]
