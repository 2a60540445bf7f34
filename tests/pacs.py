"""A PACS node that answers as a test says: refusals, silence, half answers; it tells which C-CANCEL it has heard."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context

from appliance.receive.nodes.find import FIND
from appliance.receive.nodes.retrieve import GET, MOVE
from appliance.receive.section import PacsNode
from tests.servers import HOST, until

MR = "1.2.840.10008.5.1.4.1.1.4"

Answers = Iterator[Any]


class Pacs:
    """A node that answers as the test says, and tells which C-CANCEL it has heard."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.over = threading.Event()
        self.asked = threading.Event()
        self.answers: Callable[[Any], Answers] = lambda _event: iter(())
        self.silent_on_numbers = False
        self.port = 0

    def to_itself(self, way: str) -> list[Any]:
        """What comes before the number of sub-operations: of C-MOVE where it sends to."""
        return [(HOST, self.port, {"contexts": [build_context(MR, ExplicitVRLittleEndian)]})] if way == "move" else []

    def on_request(self, event: Any) -> Answers:
        self.asked.set()
        yield from self.answers(event)

    def on_sent(self, event: Any) -> None:
        if self.silent_on_numbers:
            for keyword in ("Remaining", "Completed", "Failed", "Warning"):
                event.message.command_set.pop(f"NumberOf{keyword}Suboperations", None)

    def wait_for_cancel(self, event: Any) -> None:
        def heard() -> bool:
            # Told once: whoever asks again is told that there is none.
            if event.is_cancelled:
                self.cancelled.set()
            return self.cancelled.is_set() or self.over.is_set()

        until(heard, "C-CANCEL")


@contextmanager
def listening(
    pacs: Pacs, *, answer: str = "", timeout_s: int = 30, takes: tuple[str, ...] = (FIND, MOVE, GET)
) -> Iterator[PacsNode]:
    entity = AE(ae_title="PACS")
    for one in takes:
        entity.add_supported_context(one)
    entity.add_supported_context(MR, ExplicitVRLittleEndian, scu_role=True, scp_role=True)
    if answer == "calling":
        entity.require_calling_aet = ["SOMEBODY"]
    if answer == "called":
        entity.require_called_aet = True
    entity.maximum_associations = 10
    on = pacs.on_request
    handlers: list[Any] = [(evt.EVT_C_FIND, on), (evt.EVT_C_MOVE, on), (evt.EVT_C_GET, on)]
    handlers += [(evt.EVT_C_STORE, lambda _event: 0), (evt.EVT_DIMSE_SENT, pacs.on_sent)]
    server: Any = entity.start_server((HOST, 0), block=False, evt_handlers=handlers)
    pacs.port = server.server_address[1]
    try:
        called = "OTHER" if answer == "called" else "PACS"
        yield PacsNode(name="pacs", host=HOST, port=pacs.port, called_ae=called, timeout_s=timeout_s)
    finally:
        pacs.over.set()
        server.shutdown()
