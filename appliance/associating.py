"""DICOM associations that we ask for, plain or over TLS (PS3.8, PS3.15 annex B): one way for whoever is a node's client.

The library itself does not tell why there is none; here every way it can fail has words.
"""

import contextlib
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import PresentationContext

from appliance import asking, tls
from appliance.checkpoint import undisturbed
from appliance.fields import Secret

_REASONS = {
    (1, 2): "it does not know the application context",
    (1, 3): "it does not know the calling AE title",
    (1, 7): "it does not know the called AE title",
    (2, 2): "it does not speak this protocol version",
    (3, 1): "it is congested",
    (3, 2): "its limit of associations is reached",
}
"""Source and reason of an A-ASSOCIATE-RJ (PS3.8 section 9.3.4)."""
_FOR_GOOD = 1


class Peer(Protocol):
    """A DICOM node as a section of the settings describes it."""

    @property
    def host(self) -> str:
        """Name or address."""

    @property
    def port(self) -> int:
        """TCP port."""

    @property
    def called_ae(self) -> str:
        """Its AE title."""

    @property
    def calling_ae(self) -> str:
        """Ours."""

    @property
    def tls(self) -> bool:
        """Whether the association goes over TLS."""

    @property
    def authority(self) -> str:
        """PEM; empty: the system's list."""

    @property
    def certificate(self) -> str:
        """PEM that we present; empty: none."""

    @property
    def key(self) -> Secret:
        """The certificate's private key."""

    @property
    def host_name(self) -> str:
        """The name that its certificate proves; empty: the host."""

    @property
    def timeout_s(self) -> int:
        """Seconds for each answer."""


class NotAssociated(Exception):
    """There is no association; `why` is a sentence without its full stop."""

    def __init__(self, why: str, cause: Literal["rejected", "rejected-for-good", "contexts", "connection"]) -> None:
        self.why, self.cause = why, cause
        super().__init__(cause)


def associated(
    peer: Peer, contexts: Sequence[PresentationContext], *, roles: Sequence[Any] = (), handlers: Sequence[Any] = ()
) -> Any:
    """An established association, which the caller releases; raises `NotAssociated`, `AuthorityUnusable`, `BadCertificate`."""
    entity = AE(ae_title=peer.calling_ae)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = peer.timeout_s
    rejections: list[A_ASSOCIATE_RJ] = []

    def on_pdu(event: Any) -> None:
        # The library can lose a rejection whose connection is closed at once and call it an abort: so we look ourselves.
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            rejections.append(event.pdu)

    try:
        found = entity.associate(
            peer.host,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.called_ae,
            ext_neg=list(roles),
            evt_handlers=[(evt.EVT_PDU_RECV, on_pdu), *handlers],
            tls_args=(_context(peer), _proven_name(peer)) if peer.tls else None,
        )
    except OSError:
        raise NotAssociated(f"the name {peer.host} is not known to the network", "connection") from None
    if found.is_established:
        return undisturbed(found)
    if rejections:
        raise _rejected(rejections[0], peer)
    if found.rejected_contexts:
        raise NotAssociated(f"{peer.called_ae} takes nothing of what was proposed", "contexts")
    why = unreachable(peer) if peer.tls else ""
    raise NotAssociated(why or f"no association with {peer.called_ae}: no connection, no answer, or an abort", "connection")


def leave(association: Any) -> None:
    """Releases an association that is still there."""
    if association.is_established:
        association.release()


def unreachable(peer: Peer) -> str:
    """Why no connection can be made; empty when one can."""
    place = f"{peer.host} port {peer.port}"
    try:
        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(socket.create_connection((peer.host, peer.port), timeout=peer.timeout_s))
            if peer.tls:
                secured = stack.enter_context(_context(peer).wrap_socket(plain, server_hostname=_proven_name(peer)))
                _let_it_refuse(secured)
        return ""
    except TimeoutError:
        return f"{place} did not answer within {peer.timeout_s} s"
    except ConnectionRefusedError:
        return f"{place} refused the connection: nothing listens there"
    except ssl.SSLError as fault:
        return asking.words_for(fault, place, peer.timeout_s)
    except OSError as fault:
        known = isinstance(fault, socket.gaierror)
        return f"the name {peer.host} is not known to the network" if known else f"no connection to {place}: {fault.strerror}"


def _let_it_refuse(secured: ssl.SSLSocket) -> None:
    """With TLS 1.3 a host says only after our handshake that it wants another certificate; silence is consent."""
    secured.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        secured.recv(1)


def _context(peer: Peer) -> ssl.SSLContext:
    return tls.context(peer.authority, peer.certificate, peer.key)


def _proven_name(peer: Peer) -> str:
    return peer.host_name or peer.host


def _rejected(pdu: A_ASSOCIATE_RJ, peer: Peer) -> NotAssociated:
    reason = _REASONS.get((pdu.source or 0, pdu.reason_diagnostic or 0), "it gives no reason")
    if pdu.result == _FOR_GOOD:
        return NotAssociated(f"{peer.called_ae} rejected the association for good: {reason}", "rejected-for-good")
    return NotAssociated(f"{peer.called_ae} rejected the association for now: {reason}", "rejected")
