"""One association with a PACS node, asked for by us; when there is none, why not, in words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom.presentation import PresentationContext

from appliance import associating
from appliance.associating import NotAssociated, leave, unreachable
from appliance.errors import Misconfigured, Retry
from appliance.receive.section import PacsNode


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
