"""One association with a PACS node, asked for by us; when there is none, why not, in words."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import PresentationContext

from appliance.asking import AuthorityUnusable, trust
from appliance.errors import Misconfigured, Retry
from appliance.probe import Probe
from appliance.receive.section import PacsNode

VERIFICATION = "1.2.840.10008.1.1"
_REASONS = {
    (1, 2): "it does not know the application context",
    (1, 3): "it does not know our AE title; enter it there as a known node",
    (1, 7): "it goes by another AE title",
    (2, 2): "it does not speak this protocol version",
    (3, 1): "it is congested",
    (3, 2): "its limit of associations is reached",
}
"""Source and reason of an A-ASSOCIATE-RJ (PS3.8 section 9.3.4)."""
_FOR_GOOD = 1


class NodeAway(Retry):
    """The PACS node {node} does not answer: {why}."""

    code = "node-away"
    next_step = "See to the node and the network between; it is tried again by itself."


class NodeRefuses(Misconfigured):
    """The PACS node {node} refuses us: {why}."""

    code = "node-refuses"
    next_step = "Correct the node's settings here or enter this appliance there, then test the node."


@contextmanager
def associated(
    node: PacsNode, contexts: Sequence[PresentationContext], *, roles: Sequence[Any] = (), handlers: Sequence[Any] = ()
) -> Iterator[Any]:
    """An established association for the time of a block, released behind it; raises `NodeAway` and `NodeRefuses`."""
    _reach(node)
    entity = AE(ae_title=node.calling_ae)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = node.timeout_s
    rejections: list[A_ASSOCIATE_RJ] = []

    def on_pdu(event: Any) -> None:
        # The library can lose a rejection whose connection is closed at once and call it an abort: so we look ourselves.
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            rejections.append(event.pdu)

    association = entity.associate(
        node.host,
        node.port,
        contexts=list(contexts),
        ae_title=node.called_ae,
        ext_neg=list(roles),
        evt_handlers=[(evt.EVT_PDU_RECV, on_pdu), *handlers],
        tls_args=(_tls(node), node.host) if node.tls else None,
    )
    if not association.is_established:
        raise _why_not(node, association, rejections)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def echo(node: PacsNode) -> Probe:
    """Asks a node for C-ECHO (PS3.4 annex A) and says what it takes of queries; nothing is stored."""
    from appliance.receive.nodes.find import FIND

    contexts = [_context(VERIFICATION), _context(FIND)]
    try:
        with associated(node, contexts) as association:
            taken = {str(one.abstract_syntax) for one in association.accepted_contexts}
            lines = [f"{node.called_ae} accepted the association."]
            echoed = VERIFICATION in taken and getattr(association.send_c_echo(), "Status", None) == 0x0000
    except (NodeAway, NodeRefuses) as refused:
        return Probe(ok=False, lines=[refused.what])
    except (ValueError, RuntimeError):
        return Probe(ok=False, lines=["It ended the association before it answered the echo."])
    lines.append("C-ECHO succeeded." if echoed else "C-ECHO was not answered with success.")
    lines.append("It takes queries (Study Root)." if FIND in taken else "It takes no queries of the Study Root model.")
    return Probe(ok=echoed and FIND in taken, lines=lines)


def _context(abstract_syntax: str) -> PresentationContext:
    from pynetdicom.presentation import build_context

    return build_context(abstract_syntax)


def _tls(node: PacsNode) -> ssl.SSLContext:
    try:
        return trust(node.authority)
    except AuthorityUnusable as fault:
        raise NodeRefuses(field="nodes.nodes", node=node.name, why=fault.what) from fault


def _reach(node: PacsNode) -> None:
    """Whether a connection can be made at all: the library itself does not tell why none was."""
    try:
        with socket.create_connection((node.host, node.port), timeout=node.timeout_s):
            return
    except TimeoutError:
        why = f"no answer within {node.timeout_s} s"
    except ConnectionRefusedError:
        why = "nothing listens there"
    except socket.gaierror:
        why = "the network does not know its name"
    except OSError as fault:
        why = fault.strerror or "no connection"
    raise NodeAway(node=node.name, why=why)


def _why_not(node: PacsNode, association: Any, rejections: Sequence[A_ASSOCIATE_RJ]) -> NodeAway | NodeRefuses:
    if rejections:
        reason = _REASONS.get((rejections[0].source or 0, rejections[0].reason_diagnostic or 0), "it gives no reason")
        if rejections[0].result == _FOR_GOOD:
            return NodeRefuses(field="nodes.nodes", node=node.name, why=reason)
        return NodeAway(node=node.name, why=reason)
    if association.rejected_contexts:
        return NodeRefuses(field="nodes.nodes", node=node.name, why="it offers none of the services that were asked for")
    if node.tls:
        return NodeAway(node=node.name, why="no association over TLS: its certificate, its TLS version, or an abort")
    return NodeAway(node=node.name, why="it ended the connection without an answer; it may ask for TLS")
