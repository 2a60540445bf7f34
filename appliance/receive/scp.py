"""The DICOM listener: C-STORE of every storage SOP class in every transfer syntax, and C-ECHO (PS3.4 Annexes A and B).

The data set's bytes go to disk as they came, without being decoded. Success is answered when they are synced, and by then only
the command set, the UIDs at the head of the data set and free space were looked at.
"""

import errno
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, cast

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.dimse_messages import N_EVENT_REPORT_RSP
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from appliance import promises
from appliance.errors import Misconfigured
from appliance.moments import new_id
from appliance.promises import PUSH_MODEL
from appliance.receive import header as tags
from appliance.receive import plain
from appliance.receive.admission import refusal
from appliance.receive.association import Server, SharedContexts, Wire, handler_of
from appliance.receive.commitment import FAILED, INVALID_ARGUMENT, NO_SUCH_INSTANCE, Asking, understood
from appliance.receive.door import Door, Refusal, Request
from appliance.receive.endings import NO_REQUEST, Trouble, unwanted
from appliance.receive.event_report import Reporter
from appliance.receive.inbox import Arrival, Inbox
from appliance.receive.journal import Entry
from appliance.receive.part10 import Origin
from appliance.receive.promised import Promising
from appliance.receive.section import ReceiveSection
from appliance.receive.statuses import CANNOT_UNDERSTAND
from appliance.receive.takes import Storing
from appliance.receive.tls import context_of

log = logging.getLogger(__name__)

MAXIMUM_PDU = 256 * 1024
_NATIVE: Final = (tags.EXPLICIT_LITTLE, tags.IMPLICIT_LITTLE, tags.DEFLATED, tags.EXPLICIT_BIG)
_LOSSLESS: Final = (
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.92",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.202",
)
"""RLE, JPEG lossless, JPEG-LS lossless, JPEG 2000 lossless, HTJ2K lossless (PS3.6 Annex A)."""


class CannotListen(Misconfigured):
    """The DICOM port {port} on {host} cannot be opened: {cause}."""

    code = "cannot-listen"
    next_step = "Choose a free port and an address of this machine in the settings of receiving, then start again."


class Notices(Protocol):
    """Who is told, from the listener's threads, what has happened."""

    def arrived(self, arrival: Arrival) -> None:
        """An instance is on disk in a file of its own and will be acknowledged."""

    def journalled(self, entry: Entry) -> None:
        """An instance is on disk in the journal and will be acknowledged."""

    def opened(self, association: str, sender: str) -> None:
        """An association was accepted."""

    def ended(self, association: str) -> None:
        """An association has ended; may be told more than once."""

    def refused(self, caller: str, address: str, trouble: Trouble) -> None:
        """A caller was turned away."""

    def failed(self, caller: str, address: str, trouble: Trouble) -> None:
        """An association was aborted, broke off, or left instances unstored."""

    def low_disk(self) -> None:
        """An instance was refused because the disk is full."""


def transfer_syntaxes() -> list[str]:
    """Every transfer syntax, the preferred first: where a sender offers several for one class, we choose."""
    first = (*_NATIVE, *_LOSSLESS)
    return [*first, *(str(one) for one in ALL_TRANSFER_SYNTAXES if str(one) not in first)]


def _contexts(private_classes: Sequence[str]) -> SharedContexts:
    syntaxes = transfer_syntaxes()
    standard = [one.abstract_syntax or "" for one in AllStoragePresentationContexts]
    storage = [build_context(one, syntaxes) for one in dict.fromkeys([*standard, *private_classes])]
    services = [build_context(one, list(_NATIVE)) for one in (Verification, PUSH_MODEL)]
    # Who asks us is SCU, who answers what we asked comes as SCP (PS3.7 section D.3.3.4).
    services[1].scu_role = services[1].scp_role = True
    return SharedContexts([*services, *storage])


class Listener:
    """One listening port and its associations."""

    def __init__(self, section: ReceiveSection, inbox: Inbox, notices: Notices, *, clock: Callable[[], int]) -> None:
        self.commit: Asking = lambda *_: FAILED
        """Given what a sender wants to be committed to, it gives the status of the answer."""
        self.promised: Promising = lambda *_: NO_SUCH_INSTANCE
        """Given what a PACS that we asked promises, it gives the status of the answer."""
        self.reporter = Reporter(lambda association: self._open.get(association))
        self._inbox = inbox
        self._notices = notices
        self._clock = clock
        self._open: dict[str, threading.Thread] = {}
        self._stopping = False
        self._section = section
        self._ae = AE(ae_title=section.ae_title)
        self._ae.maximum_pdu_size = MAXIMUM_PDU
        self._set_timeouts(section)
        # Counted at the door, where it costs no thread.
        self._ae.maximum_associations = 1_000_000
        self._server: Server | None = None
        self._context = context_of(section)

    def apply(self, section: ReceiveSection) -> None:
        """Puts settings in force that need no restart: who may call, and certificates; open associations keep theirs.

        Raises `BadCertificate`, and then all stays as it was.
        """
        self._context = context_of(section)
        self._section = section
        self._set_timeouts(section)

    def _set_timeouts(self, section: ReceiveSection) -> None:
        self._ae.network_timeout = float(section.idle_seconds)
        self._ae.acse_timeout = float(section.negotiation_seconds)

    def start(self) -> int:
        """Begins to listen and gives the port; raises `CannotListen`."""
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_N_ACTION, self._on_action),
            (evt.EVT_N_EVENT_REPORT, self._on_report),
            (evt.EVT_DIMSE_RECV, self._on_message),
            (evt.EVT_ESTABLISHED, self._on_established),
            (evt.EVT_RELEASED, self._on_ended),
            (evt.EVT_ABORTED, self._on_ended),
        ]
        try:
            self._server = server = cast(
                Server,
                self._ae.make_server(
                    (self._section.host, self._section.port),
                    contexts=_contexts(self._section.private_classes),
                    evt_handlers=handlers,
                    server_class=Server,
                    request_handler=handler_of(self._on_socket_end),
                ),
            )
        except OSError as fault:
            cause = errno.errorcode.get(fault.errno or 0, "unknown")
            raise CannotListen(field="receive.port", port=self._section.port, host=self._section.host, cause=cause) from fault
        server.door = Door(
            cast(socket.socket, server.socket),
            check=self._check,
            admit=server.admit,
            failed=self._refuse,
            seconds=lambda: float(self._section.negotiation_seconds),
            context=lambda: self._context,
        )
        server.door.start()
        return int(server.server_address[1])

    def stop_listening(self) -> None:
        """No new associations; open ones go on. Waits for the accepting thread."""
        if self._server is not None:
            server, self._server = self._server, None
            server.stop()

    def open_associations(self) -> list[str]:
        """The associations whose threads live."""
        for association, thread in list(self._open.items()):
            if not thread.is_alive():
                del self._open[association]
        return list(self._open)

    def abort_all(self) -> None:
        """Ends the associations that are still open with A-ABORT."""
        self._stopping = True
        for one in list(self._ae.active_associations):
            one.abort(block=False)

    def _check(self, request: Request) -> Refusal | None:
        present = [str(one.requestor.address) for one in self._ae.active_associations if one.is_acceptor]
        return refusal(request, self._section, present)

    def _refuse(self, caller: str, address: str, sentence: str, advice: str) -> None:
        caller = printable_ae(caller) or "somebody"
        log.warning("association of %s from %s refused: %s; %s", caller, address, sentence, advice, extra={"sender": caller})
        self._notices.refused(caller, address, Trouble(sentence=sentence, advice=advice))

    def _on_established(self, event: evt.Event) -> None:
        association, wire = new_id(self._clock()), event.assoc.dul.socket
        sender, address = printable_ae(event.assoc.requestor.ae_title), str(event.assoc.requestor.address)
        self._open[association] = event.assoc
        log.info("association of %s from %s accepted", sender, address, extra={"sender": sender})
        if not event.assoc.accepted_contexts:
            why = unwanted(event.assoc.rejected_contexts)
            self._refuse(sender, address, why.sentence, why.advice)
        self._notices.opened(association, sender)
        if isinstance(wire, Wire):
            wire.begin(association, self._storing(event.assoc, wire, association) if self._section.fast_path else None)

    def _storing(self, assoc: Any, wire: Wire, association: str) -> Storing:
        contexts = {
            number: (str(one.abstract_syntax), str(one.transfer_syntax[0]))
            for number, one in assoc._accepted_cx.items()
            if one.abstract_syntax not in (Verification, PUSH_MODEL)
        }
        return Storing(
            self._inbox.journal(association),
            contexts,
            self._origin(assoc),
            self._notices,
            clock=self._clock,
            room=self._inbox.require_space,
            answer=wire.send,
            tally=wire.tally,
        )

    def _origin(self, assoc: Any, sop_class: str = "", sop_instance: str = "", transfer_syntax: str = "") -> Origin:
        return Origin(
            sop_class=sop_class,
            sop_instance=sop_instance,
            transfer_syntax=transfer_syntax,
            sender=printable_ae(assoc.requestor.ae_title),
            receiver=self._section.ae_title,
            address=str(assoc.requestor.address),
        )

    def _on_ended(self, event: evt.Event) -> None:
        wire = event.assoc.dul.socket
        if isinstance(wire, Wire) and wire.association:
            self._notices.ended(wire.association)

    def _on_socket_end(self, wire: Wire) -> None:
        if not wire.association:
            if not wire.explained:
                wire.explained = True
                self._refuse("", str(wire.assoc.requestor.address), NO_REQUEST.sentence, NO_REQUEST.advice)
            return
        self._notices.ended(wire.association)
        if not wire.explained:
            wire.explained = True
            self._explain(wire)

    def _explain(self, wire: Wire) -> None:
        """Says why an association did not end well."""
        trouble, peer = wire.trouble, wire.assoc.requestor
        if trouble is None or self._stopping or not wire.assoc.accepted_contexts:
            return
        sender, address = printable_ae(peer.ae_title), str(peer.address)
        extra = {"sender": sender, "code": "association-failed"}
        log.warning("association of %s from %s failed: %s; %s", sender, address, trouble.sentence, trouble.advice, extra=extra)
        self._notices.failed(sender, address, trouble)

    def _on_action(self, event: evt.Event) -> tuple[int, None]:
        """N-ACTION of storage commitment (PS3.4 section J.3.2)."""
        wire, sender = event.assoc.dul.socket, printable_ae(event.assoc.requestor.ae_title)
        status = INVALID_ARGUMENT
        try:
            instance = str(getattr(event.request, "RequestedSOPInstanceUID", ""))
            asked = understood(event.action_type, instance, event.action_information)
            # From here on a fault is ours.
            status = FAILED
            if isinstance(asked, int):
                status = asked
            else:
                status = self.commit(sender, wire.association if isinstance(wire, Wire) else "", asked)
        except Exception as fault:
            # The edge of the process towards a peer: what is not stored must not be answered with success.
            extra = {"sender": sender, "code": "commitment-failed"}
            log.error("a storage commitment failed: %s", type(fault).__name__, exc_info=fault, extra=extra)
        if status:
            log.warning("a storage commitment of %s was refused with 0x%04X", sender, status, extra={"sender": sender})
        return status, None

    def _on_report(self, event: evt.Event) -> tuple[int, None]:
        """N-EVENT-REPORT of a PACS that was asked to keep a report (PS3.4 section J.3.3)."""
        sender = printable_ae(event.assoc.requestor.ae_title)
        try:
            found = promises.understood(event.event_type, event.event_information)
            status = found if isinstance(found, int) else self.promised(sender, found)
        except Exception as fault:
            # The edge of the process towards a peer: what is not stored must not be answered with success.
            extra = {"sender": sender, "code": "commitment-failed"}
            log.error("the result of a storage commitment failed: %s", type(fault).__name__, exc_info=fault, extra=extra)
            return FAILED, None
        if status:
            log.warning(
                "the result of a storage commitment by %s was refused with 0x%04X", sender, status, extra={"sender": sender}
            )
        return status, None

    def _on_message(self, event: evt.Event) -> None:
        """Which report of ours a peer has confirmed."""
        wire, message = event.assoc.dul.socket, event.message
        if isinstance(wire, Wire) and isinstance(message, N_EVENT_REPORT_RSP):
            self.reporter.confirmed(wire.association, int(message.command_set.get("MessageIDBeingRespondedTo", 0)))

    def _on_store(self, event: evt.Event) -> int:
        status = self._store(event)
        wire = event.assoc.dul.socket
        if isinstance(wire, Wire):
            wire.tally.count(status)
        return status

    def _store(self, event: evt.Event) -> int:
        wire, request = event.assoc.dul.socket, event.request
        if not isinstance(request, C_STORE) or request.DataSet is None:
            return CANNOT_UNDERSTAND
        sop_class, sop_instance = str(request.AffectedSOPClassUID or ""), str(request.AffectedSOPInstanceUID or "")
        origin = self._origin(event.assoc, sop_class, sop_instance, str(event.context.transfer_syntax))
        data = event.encoded_dataset(include_meta=False)
        association = wire.association if isinstance(wire, Wire) else ""
        return plain.keep(self._inbox, self._notices, origin, data, association=association, clock=self._clock)


def printable_ae(title: str) -> str:
    """An AE title as it can stand in a log line: what does not belong into one becomes '?'."""
    return "".join(one if " " <= one <= "~" and one != "\\" else "?" for one in title.strip())[:16]
