"""The listener's answers, and what it relies on in pynetdicom."""

import errno
import inspect
from typing import Any

import pynetdicom
import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.timer import Timer
from pynetdicom.transport import AssociationSocket, RequestHandler

from appliance.receive.association import Server, SharedContexts, SteadyTimer, Wire
from appliance.receive.endings import Trouble
from appliance.receive.header import EXPLICIT_LITTLE, read_header
from appliance.receive.inbox import Inbox
from appliance.receive.part10 import Origin
from appliance.receive.plain import keep, status_of
from appliance.receive.scp import CannotListen, Listener, printable_ae, transfer_syntaxes
from appliance.receive.section import ReceiveSection
from appliance.receive.statuses import (
    CANNOT_UNDERSTAND,
    DOES_NOT_MATCH_SOP_CLASS,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SUCCESS,
)
from appliance.storage import OutOfSpace, Storage
from tests.unit.receive.test_header import a_dataset, encoded

MR = "1.2.840.10008.5.1.4.1.1.4"


class Deaf:
    """Notices that nobody hears."""

    def __init__(self) -> None:
        self.low = 0

    def arrived(self, arrival: Any) -> None: ...

    def journalled(self, entry: Any) -> None: ...

    def opened(self, association: str, sender: str) -> None: ...

    def ended(self, association: str) -> None: ...

    def refused(self, caller: str, address: str, trouble: Trouble) -> None: ...

    def failed(self, caller: str, address: str, trouble: Trouble) -> None: ...

    def low_disk(self) -> None:
        self.low += 1


def origin(sop_class: str = MR, sop_instance: str = "1.2.3.4") -> Origin:
    return Origin(sop_class=sop_class, sop_instance=sop_instance, transfer_syntax=EXPLICIT_LITTLE)


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (origin(), SUCCESS),
        (origin(sop_instance="1.2.3.5"), DOES_NOT_MATCH_SOP_CLASS),
        (origin(sop_class="1.2.840.10008.5.1.4.1.1.2"), DOES_NOT_MATCH_SOP_CLASS),
        (origin(sop_instance="../../etc/passwd"), CANNOT_UNDERSTAND),
        (origin(sop_instance=""), CANNOT_UNDERSTAND),
        (origin(sop_class="1." + "2" * 70), CANNOT_UNDERSTAND),
    ],
)
def test_the_command_set_must_agree_with_the_data_set(command: Origin, status: int) -> None:
    """REC-04, PS3.4 Table B.2-1."""
    assert status_of(command, read_header(encoded(a_dataset(), EXPLICIT_LITTLE), EXPLICIT_LITTLE)) == status


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        (OutOfSpace(), OUT_OF_RESOURCES, 1),
        (OSError(errno.EROFS, "read-only"), PROCESSING_FAILURE, 0),
        (OSError(errno.EIO, "broken"), PROCESSING_FAILURE, 0),
        (KeyError("nobody foresaw this"), PROCESSING_FAILURE, 0),
    ],
)
def test_what_is_not_kept_is_never_a_success(
    fault: Exception, status: int, told: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REC-04: 0xA700 for want of space, 0x0110 for anything else."""
    storage, notices = Storage(tmp_path), Deaf()
    storage.prepare()
    inbox = Inbox(storage)

    def fails(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(inbox, "keep", fails)
    assert keep(inbox, notices, origin(), encoded(a_dataset(), EXPLICIT_LITTLE), clock=lambda: 0) == status
    assert notices.low == told


def test_a_port_in_use_is_a_setting_to_change(tmp_path: Any, free_port: int) -> None:
    storage = Storage(tmp_path)
    storage.prepare()
    section = ReceiveSection(host="127.0.0.1", port=free_port)
    first, second = (Listener(section, Inbox(storage), Deaf(), clock=lambda: 0) for _ in range(2))
    assert first.start() == free_port
    with pytest.raises(CannotListen, match="EADDRINUSE"):
        second.start()
    first.stop_listening()


def test_lossless_comes_before_lossy_where_a_sender_lets_us_choose() -> None:
    """REC-01: every syntax is accepted, the ones that keep all first."""
    order = transfer_syntaxes()
    assert set(order) == {str(one) for one in pynetdicom.ALL_TRANSFER_SYNTAXES}
    assert len(order) == len(set(order))
    for lossy in ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91"):
        for lossless in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201"):
            assert order.index(lossless) < order.index(lossy)


@pytest.mark.parametrize(
    ("title", "shown"), [("MRI 1 ", "MRI 1"), ("a\x1b[31m", "a?[31m"), ("x\\y", "x?y"), ("z" * 40, "z" * 16)]
)
def test_a_calling_ae_title_cannot_write_into_the_log(title: str, shown: str) -> None:
    """Faults section 6: escapes and control characters."""
    assert printable_ae(title) == shown


def test_pynetdicom_still_has_what_the_fast_way_relies_on() -> None:
    """REC-08: an upgrade that moves these internals fails here, and not at a hospital."""
    assert pynetdicom.__version__.startswith("3.0.")
    for name in ("ready", "recv", "send", "_shutdown_socket"):
        assert name in vars(AssociationSocket) and name in vars(Wire)
    assert "event_queue" in vars(AssociationSocket)
    assert "_create_association" in vars(RequestHandler)
    assert "finish_request" in dir(Server)
    assert {"remaining", "expired", "start", "stop", "restart"} <= set(vars(Timer)) | set(vars(SteadyTimer))
    association = Association(AE(), "acceptor")
    for name in (
        "_accepted_cx",
        "_reactor_checkpoint",
        "network_timeout",
        "is_acceptor",
        "dimse",
        "dul",
        "requestor",
        "acceptor",
    ):
        assert hasattr(association, name)
    for name in ("_kill_thread", "_idle_timer", "artim_timer", "to_provider_queue", "to_user_queue", "event_queue"):
        assert hasattr(association.dul, name)
    assert association.dul.state_machine.current_state == "Sta1"
    assert hasattr(association.dimse, "msg_queue")
    source = inspect.getsource(DULServiceProvider)
    for line in ("if self.socket and self.socket.ready:", "self.socket.recv(6)", "self.socket.recv(pdu_length)"):
        assert line in source
    assert "self._reactor_checkpoint.wait()" in inspect.getsource(Association._run_reactor)
    assert "_reactor_checkpoint.set()" in inspect.getsource(Association._abort_blocking)


def test_presentation_contexts_are_shared_by_associations() -> None:
    from copy import deepcopy

    contexts = SharedContexts([object()])
    assert deepcopy(contexts)[0] is contexts[0]
