"""An answer to what we asked a DICOM node never goes to the association's own thread."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from appliance.checkpoint import Checkpoint

WINDOW_S = 0.3
"""So long at most the thread passes the checkpoint while it says that it waits: on an idle machine that is a microsecond."""


class Asked:
    """One association, and how often its own thread looked for messages while somebody waited for an answer."""

    def __init__(self, port: int) -> None:
        entity = AE()
        entity.add_requested_context(Verification)
        self.association: Any = entity.associate("127.0.0.1", port)
        self.looks = 0
        self._asked, self._looked = threading.Event(), threading.Event()
        messages: Any = self.association.dimse
        self._send, self._get = messages.send_msg, messages.get_msg
        messages.send_msg, messages.get_msg = self._sending, self._getting

    def passing(self) -> None:
        """The thread passes the checkpoint, slowly: until somebody asks."""
        self._asked.wait(WINDOW_S)

    def _sending(self, *given: Any) -> None:
        self._looked.clear()
        self._asked.set()
        self._looked.wait(WINDOW_S)
        self._send(*given)

    def _getting(self, block: bool = False) -> Any:
        if not block and self._asked.is_set():
            self.looks += 1
            self._looked.set()
            return None, None  # so that the answer is not lost here
        found = self._get(block)
        if block:
            self._asked.clear()
        return found

    def echo(self, count: int) -> int:
        """Echoes, and gives how often the thread looked meanwhile."""
        try:
            for _ in range(count):
                assert self.association.send_c_echo().Status == 0
        finally:
            self.association.abort()
        return self.looks


class _Plain(threading.Event):
    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self.asked = asked
        self.set()

    def wait(self, timeout: float | None = None) -> bool:
        passed = super().wait(timeout)
        self.asked.passing()
        return passed


class _Safe(Checkpoint):
    def __init__(self, asked: Asked) -> None:
        super().__init__(asked.association)
        self.asked = asked

    def wait(self, timeout: float | None = None) -> bool:
        passed = super().wait(timeout)
        self.asked.passing()
        return passed


@pytest.fixture(scope="module")
def echo_port() -> Iterator[int]:
    entity = AE()
    entity.add_supported_context(Verification)
    server: Any = entity.start_server(("127.0.0.1", 0), block=False)
    yield server.server_address[1]
    server.shutdown()


@pytest.mark.parametrize(("kind", "looks"), [(_Plain, True), (_Safe, False)])
def test_an_associations_own_thread_looks_for_answers_of_others_unless_it_stands_at_our_checkpoint(
    echo_port: int, kind: type[_Plain | _Safe], looks: bool
) -> None:
    """RES-04: the first of the two fails once the library has mended it, and then the checkpoint can go."""
    asked = Asked(echo_port)
    asked.association._reactor_checkpoint = kind(asked)
    assert (asked.echo(4) > 0) is looks


def test_who_clears_waits_for_a_thread_that_is_about_to_pass() -> None:
    passed, go, cleared, again = (threading.Event() for _ in range(4))

    def reactor() -> None:
        checkpoint.wait()
        passed.set()
        go.wait()
        checkpoint.wait()
        again.set()

    thread = threading.Thread(target=reactor, daemon=True)
    checkpoint = Checkpoint(thread)
    thread.start()
    assert passed.wait(10)

    def ask() -> None:
        checkpoint.clear()
        cleared.set()

    threading.Thread(target=ask, daemon=True).start()
    assert not cleared.wait(0.2)
    go.set()
    assert cleared.wait(10)
    assert not checkpoint.is_set() and not again.is_set()
    checkpoint.set()
    assert again.wait(10)
    thread.join(10)
    checkpoint.clear()  # the thread has ended: nothing to wait for
