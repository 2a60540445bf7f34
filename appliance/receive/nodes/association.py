"""One association with a PACS node, asked for by us; when there is none, or it ends too early, why, in words."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pynetdicom.presentation import PresentationContext

from appliance import associating
from appliance.associating import NotAssociated, leave, unreachable
from appliance.errors import Misconfigured, Retry
from appliance.receive.nodes.stop import Stop
from appliance.receive.section import PacsNode


class NodeAway(Retry):
    """The PACS node {node} cannot be asked now: {why}."""

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
    try:
        association = associating.associated(node, contexts, roles=roles, handlers=handlers)
    except NotAssociated as fault:
        if fault.cause in ("rejected-for-good", "contexts"):
            raise NodeRefuses(field="nodes.nodes", node=node.name, why=fault.why) from fault
        why = unreachable(node) if fault.cause == "connection" else ""
        raise NodeAway(node=node.name, why=why or fault.why) from fault
    except Misconfigured as fault:
        raise NodeRefuses(field="nodes.nodes", node=node.name, why=fault.what) from fault
    try:
        yield association
    finally:
        leave(association)


def answers(association: Any, node: PacsNode, given: Iterator[Any], model: str, stop: Stop) -> Iterator[tuple[int, Any, Any]]:
    """Status code, status and identifier of each answer to message 1; a node that is asked to stop hears C-CANCEL at once.

    One that does not end within its time-out behind C-CANCEL is left. Raises `NodeAway` when it falls silent or breaks off
    though nobody asked it to stop.
    """
    heard = time.monotonic()
    ends_at: list[float] = []

    def cancel() -> None:
        ends_at.append(time.monotonic() + node.timeout_s)
        # The association may end at this very moment; then there is nothing left to cancel.
        with suppress(RuntimeError, ValueError):
            association.send_c_cancel(1, query_model=model)

    try:
        with stop.interrupts(cancel):
            for status, identifier in given:
                code = getattr(status, "Status", None)
                if code is None:
                    if stop.asked:
                        return
                    raise NodeAway(node=node.name, why=_ended(node, time.monotonic() - heard))
                heard = time.monotonic()
                yield int(code), status, identifier
                if ends_at and heard > ends_at[0]:
                    association.abort()
                    return
    except (ValueError, RuntimeError) as fault:
        if not stop.asked:
            raise NodeAway(node=node.name, why="it ended the association before it had answered") from fault


def _ended(node: PacsNode, silence_s: float) -> str:
    if silence_s >= node.timeout_s:
        return f"it fell silent for {node.timeout_s} s in the middle of its answers"
    return "it broke off before its last answer; it may not let our AE title ask"
