"""One way to ask a node, whichever protocol it speaks."""

from contextlib import AbstractContextManager

from appliance.receive.nodes import find, web
from appliance.receive.nodes.find import Found, Query
from appliance.receive.nodes.stop import Stop
from appliance.receive.section import Node, WebNode


def session(node: Node) -> AbstractContextManager["find.Session | web.Session"]:
    """Queries to a node; raises `NodeAway` and `NodeRefuses`."""
    return web.session(node) if isinstance(node, WebNode) else find.session(node)


def page(node: Node, query: Query, *, limit: int, skip: int = 0, stop: Stop | None = None) -> tuple[list[Found], bool]:
    """One page of answers, and whether there are more; raises `NodeAway`, `NodeRefuses` and `QueryRefused`."""
    with session(node) as asking:
        return asking.page(query, limit=limit, skip=skip, stop=stop)
