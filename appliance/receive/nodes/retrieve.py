"""C-MOVE and C-GET as SCU in the Study Root model (PS3.4 sections C.4.2 and C.4.3): a PACS node gives what it holds.

By C-MOVE the node sends to our own DICOM port, by C-GET over the association that asked; both ways an instance is synced
before the node is told that it is safe.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
from pydicom import Dataset, config
from pynetdicom import build_role, evt
from pynetdicom.presentation import StoragePresentationContexts, build_context

from appliance.errors import Failed, RanvierError, Retry
from appliance.receive.nodes.association import NodeAway, NodeRefuses, answers, associated
from appliance.receive.nodes.stop import Stop
from appliance.receive.part10 import Origin
from appliance.receive.scp import transfer_syntaxes
from appliance.receive.section import PacsNode
from appliance.records.pulls import Wanted

MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
MAXIMUM_PDU = 256 * 1024
_MOST_CLASSES = 126
"""A presentation context has an odd ID below 256; one is the retrieval's own."""
_FIRST_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.2",
    "1.2.840.10008.5.1.4.1.1.4.4",
)
"""MR, Enhanced MR, MR Spectroscopy, Legacy Converted Enhanced MR: never left out."""
_PENDING = (0xFF00, 0xFF01)
_WARNING = 0xB000
_CANCELLED = 0xFE00
_UNABLE = 0xC000
_AWAY = {
    0xA700: "it is out of resources",
    0xA701: "it is out of resources and could not count what matches",
    0xA702: "it is out of resources and could not send what matches",
}
_REFUSED = {
    0xA801: "it does not know our AE title as a destination; enter it there with this appliance's address and port",
    0xA900: "the request does not match its SOP class",
    0x0124: "we are not authorised",
    0x0122: "it does not know the SOP class",
}


class RetrieveFailed(Failed):
    """The PACS node {node} ended the retrieval with {status}."""

    code = "retrieve-failed"
    next_step = "See the node's own log; nothing that came is lost."


class NodeUnable(Retry):
    """The PACS node {node} was unable to process the retrieval ({status})."""

    code = "node-unable"
    next_step = "See the node's own log, and whether it reaches this appliance's DICOM port; what came is kept."


class Progress(msgspec.Struct, kw_only=True, frozen=True):
    """The sub-operations so far, as the node counts them."""

    remaining: int | None = None
    completed: int = 0
    failed: int = 0
    warnings: int = 0


class Outcome(msgspec.Struct, kw_only=True, frozen=True):
    """How a retrieval ended."""

    progress: Progress
    cancelled: bool = False


Tell = Callable[[Progress], None]
"""Is told how far it is."""
Keep = Callable[[Origin, bytes], int]
"""Makes an instance durable and gives the status to answer."""


def move(node: PacsNode, wanted: Wanted, *, to: str, tell: Tell, stop: Stop) -> Outcome:
    """Has a node send to the AE title `to`; raises `NodeAway`, `NodeRefuses`, `NodeUnable` and `RetrieveFailed`."""
    with associated(node, [build_context(MOVE)]) as association, config.disable_value_validation():
        given = partial(association.send_c_move, identifier_of(wanted), to, MOVE, msg_id=1)
        return _followed(node, association, given, MOVE, tell, stop)


def get(node: PacsNode, wanted: Wanted, *, keep: Keep, tell: Tell, stop: Stop) -> Outcome:
    """Has a node send over this association; raises `NodeAway`, `NodeRefuses`, `NodeUnable` and `RetrieveFailed`."""

    def on_store(event: Any) -> int:
        request = event.request
        origin = Origin(
            sop_class=str(request.AffectedSOPClassUID or ""),
            sop_instance=str(request.AffectedSOPInstanceUID or ""),
            transfer_syntax=str(event.context.transfer_syntax),
            sender=node.called_ae,
            receiver=node.calling_ae,
            address=node.host,
        )
        return keep(origin, event.encoded_dataset(include_meta=False))

    classes = _classes()
    contexts = [build_context(GET), *(build_context(one, transfer_syntaxes()) for one in classes)]
    roles = [build_role(one, scp_role=True) for one in classes]
    with associated(node, contexts, roles=roles, handlers=[(evt.EVT_C_STORE, on_store)]) as association:
        given = partial(association.send_c_get, identifier_of(wanted), GET, msg_id=1)
        return _followed(node, association, given, GET, tell, stop)


def _classes() -> list[str]:
    usual = [str(one.abstract_syntax) for one in StoragePresentationContexts]
    return [*_FIRST_CLASSES, *(one for one in usual if one not in _FIRST_CLASSES)][:_MOST_CLASSES]


def identifier_of(wanted: Wanted) -> Dataset:
    """The identifier of the request, at the lowest level that is named (PS3.4 section C.4.2.2.1)."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = wanted.level
    identifier.StudyInstanceUID = wanted.study_uid
    if wanted.series_uids:
        identifier.SeriesInstanceUID = list(wanted.series_uids)
    if wanted.sop_uids:
        identifier.SOPInstanceUID = list(wanted.sop_uids)
    return identifier


def _followed(
    node: PacsNode, association: Any, asked: Callable[[], Iterator[Any]], model: str, tell: Tell, stop: Stop
) -> Outcome:
    progress = Progress()
    try:
        given = asked()
    except (ValueError, RuntimeError) as fault:
        raise NodeAway(node=node.name, why="it ended the association before it was asked") from fault
    for code, status, identifier in answers(association, node, given, model, stop):
        progress = _progress(status, progress)
        tell(progress)
        if code not in _PENDING:
            return _outcome(node, code, identifier, progress, stop)
    return Outcome(progress=progress, cancelled=True)


def _outcome(node: PacsNode, code: int, identifier: Any, progress: Progress, stop: Stop) -> Outcome:
    """What the last answer means (PS3.4 sections C.4.2.1.5 and C.4.3.1.4)."""
    if code == 0x0000:
        return Outcome(progress=progress)
    if stop.asked:
        return Outcome(progress=progress, cancelled=True)
    if code == _CANCELLED:
        raise NodeAway(node=node.name, why="it cancelled the retrieval by itself")
    if code == _WARNING:
        if not (progress.failed or progress.warnings):
            listed = getattr(identifier, "FailedSOPInstanceUIDList", None) or ()
            progress = msgspec.structs.replace(progress, failed=1 if isinstance(listed, str) else len(listed))
        if not (progress.failed or progress.warnings):
            raise NodeAway(node=node.name, why="it could not send everything and does not say what")
        return Outcome(progress=progress)
    raise _fault(node, code)


def _progress(status: Any, before: Progress) -> Progress:
    def count(keyword: str, old: int | None) -> int | None:
        value = getattr(status, keyword, None)
        return old if value is None else int(value)

    return Progress(
        remaining=count("NumberOfRemainingSuboperations", 0),
        completed=count("NumberOfCompletedSuboperations", before.completed) or 0,
        failed=count("NumberOfFailedSuboperations", before.failed) or 0,
        warnings=count("NumberOfWarningSuboperations", before.warnings) or 0,
    )


def _fault(node: PacsNode, code: int) -> RanvierError:
    if code in _AWAY:
        return NodeAway(node=node.name, why=_AWAY[code])
    if code in _REFUSED:
        return NodeRefuses(field="nodes.nodes", node=node.name, why=_REFUSED[code])
    if code & 0xF000 == _UNABLE:
        # Whatever it was, it need not be so the next time: Orthanc answers so when it cannot reach us.
        return NodeUnable(node=node.name, status=f"{code:04X}H")
    return RetrieveFailed(node=node.name, status=f"{code:04X}H")
