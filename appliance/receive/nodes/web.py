"""A DICOMweb archive as a node: QIDO-RS finds (PS3.18 section 10.6), WADO-RS gives (section 10.4).

Like the other functions of nodes these block their thread; each call has an event loop of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from email.message import Message
from typing import Any, Protocol

import msgspec
from pydicom.datadict import tag_for_keyword

from appliance import endpoint
from appliance.errors import Misconfigured
from appliance.probe import Probe
from appliance.receive.multipart import NotMultipart, Parts
from appliance.receive.nodes.association import NodeAway, NodeRefuses
from appliance.receive.nodes.find import KEYS, MATCHING, Found, Query, QueryRefused
from appliance.receive.nodes.retrieve import Outcome, Progress, RetrieveFailed, Tell
from appliance.receive.nodes.stop import Stop
from appliance.receive.posted import Taking
from appliance.receive.section import WebNode
from appliance.records.pulls import Wanted

PAGE = 200
MOST_BYTES = 16 << 20
"""Of a page of answers."""
_JSON = "application/dicom+json"
_INSTANCES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_ON_PATH = frozenset({"study_uid", "series_uid"})
"""What stands in the address of a lower level, and not in its query."""


class Takes(Protocol):
    """Makes what takes the instances of one answer."""

    def __call__(self, parts: Parts) -> AbstractContextManager[Taking]:
        """For the time of a multipart body."""


class Session:
    """Queries to one archive."""

    def __init__(self, node: WebNode) -> None:
        self._node = node

    def page(self, query: Query, *, limit: int, skip: int = 0, stop: Stop | None = None) -> tuple[list[Found], bool]:
        """Up to `limit` answers behind the first `skip`, and whether there are more; none when somebody asked to stop.

        Raises `NodeAway`, `NodeRefuses` and `QueryRefused`.
        """
        found = asyncio.run(_until_stopped(_asked(self._node, query, limit + 1, skip), stop or Stop()))
        return found[:limit], len(found) > limit

    def all(self, query: Query) -> list[Found]:
        """Every answer, page by page; an archive that knows no pages gives all at once. Raises what `page` raises."""
        found: list[Found] = []
        while True:
            # Asked again until nothing new comes: an archive may have a limit of its own below ours.
            page = asyncio.run(_asked(self._node, query, PAGE, len(found)))
            fresh = [one for one in page if one not in found[:PAGE]] if found else page
            if not fresh:
                return found
            found += fresh


@contextmanager
def session(node: WebNode) -> Iterator[Session]:
    """Queries to an archive; there is nothing to open or to end."""
    yield Session(node)


def probe(node: WebNode) -> Probe:
    """Searches for a study that cannot be there; nothing is stored."""
    try:
        asyncio.run(_asked(node, Query(level="STUDY", study_uid="2.25.0"), 1, 0))
    except (NodeAway, NodeRefuses, QueryRefused) as fault:
        return Probe(ok=False, lines=[fault.what])
    return Probe(ok=True, lines=["It answers queries (QIDO-RS). Nothing was stored by this test."])


async def _until_stopped(asking: Coroutine[Any, Any, list[Found]], stop: Stop) -> list[Found]:
    """What is found, or nothing when somebody asked to stop: then the connection is left."""
    loop, task = asyncio.get_running_loop(), asyncio.create_task(asking)
    with stop.interrupts(lambda: loop.call_soon_threadsafe(task.cancel)):
        await asyncio.wait({task})
    return [] if task.cancelled() else task.result()


async def _asked(node: WebNode, query: Query, limit: int, skip: int) -> list[Found]:
    params = {"limit": str(limit), "offset": str(skip), **_matching(query)}
    params["includefield"] = ",".join(_tag(keyword) for keyword in KEYS[query.level].values())
    async with _answered(node, _address(query), params, _JSON, query=True) as answer:
        if answer.status_code == 204:
            return []
        body = await endpoint.body_of(answer, MOST_BYTES)
    try:
        items = msgspec.json.decode(body, type=list[dict[str, Any]])
    except msgspec.DecodeError:
        raise NodeAway(node=node.name, why="its answer is no DICOM JSON") from None
    found = [_found(one, KEYS[query.level]) for one in items]
    return list(dict.fromkeys(found)) if query.level == "PATIENT" else found


@asynccontextmanager
async def _answered(
    node: WebNode, path: str, params: dict[str, str], accept: str, *, query: bool = False
) -> AsyncIterator[Any]:
    """An answer that is a success; whatever else it is, or breaks off in the block, is told as of a node."""
    try:
        async with endpoint.opened(node, path, params, accept) as answer:
            _refuse(node, answer.status_code, query=query)
            yield answer
    except endpoint.NoResponse as fault:
        raise NodeAway(node=node.name, why=fault.why) from None
    except (NodeRefuses, QueryRefused):
        raise
    except Misconfigured as fault:
        raise NodeRefuses(field="nodes.web", node=node.name, why=fault.what.rstrip(".")) from None


def _address(query: Query) -> str:
    """Where a level is asked; patients are told from their studies, for QIDO-RS has no level of theirs."""
    if query.level == "SERIES":
        return f"studies/{query.study_uid}/series"
    return f"studies/{query.study_uid}/series/{query.series_uid}/instances" if query.level == "IMAGE" else "studies"


def _matching(query: Query) -> dict[str, str]:
    keys = KEYS[query.level]
    places = {name: place for name, place in MATCHING.items() if place in keys}
    if query.level in ("SERIES", "IMAGE"):
        on_path = {"study_uid"} if query.level == "SERIES" else _ON_PATH
        places = {name: place for name, place in places.items() if name not in on_path}
    return {_tag(keys[place]): str(getattr(query, name)) for name, place in places.items() if getattr(query, name)}


def _tag(keyword: str) -> str:
    return f"{tag_for_keyword(keyword):08X}"


def _found(item: dict[str, Any], keys: dict[str, str]) -> Found:
    values: dict[str, Any] = {}
    for name, keyword in keys.items():
        element = item.get(_tag(keyword))
        listed = element.get("Value", []) if isinstance(element, dict) else []
        texts = [str(one.get("Alphabetic", "")) if isinstance(one, dict) else str(one) for one in listed if one is not None]
        if name in ("instances", "series"):
            values[name] = int(texts[0]) if texts and texts[0].strip().isdigit() else None
        else:
            values[name] = "\\".join(texts)
    return Found(**values)


def retrieve(node: WebNode, wanted: Wanted, *, takes: Takes, tell: Tell, stop: Stop) -> Outcome:
    """Has an archive give what is wanted, each instance synced as it comes.

    Raises `NodeAway`, `NodeRefuses` and `RetrieveFailed`; what came before stays.
    """
    return asyncio.run(_retrieved(node, wanted, takes, tell, stop))


def places(wanted: Wanted) -> list[str]:
    """The addresses of what is wanted, at the lowest level that is named (PS3.18 section 10.4.1)."""
    study = f"studies/{wanted.study_uid}"
    series = [f"{study}/series/{one}" for one in wanted.series_uids]
    if wanted.sop_uids:
        return [f"{series[0]}/instances/{one}" for one in wanted.sop_uids]
    return series or [study]


async def _retrieved(node: WebNode, wanted: Wanted, takes: Takes, tell: Tell, stop: Stop) -> Outcome:
    addresses, progress = places(wanted), Progress()
    for address in addresses:
        try:
            async with _answered(node, address, {}, _INSTANCES) as answer:
                with takes(Parts(_boundary(answer.headers.get("Content-Type", "")))) as taking:
                    await _fed(taking, answer.aiter_bytes(), progress, tell, stop)
        except NotMultipart:
            raise NodeAway(node=node.name, why="its answer broke off or is no multipart body") from None
        progress = _counted(progress, taking)
        if stop.asked:
            return Outcome(progress=progress, cancelled=True)
    return Outcome(progress=progress)


async def _fed(taking: Taking, pieces: Any, before: Progress, tell: Tell, stop: Stop) -> None:
    """Takes a body to its end, or until somebody asks to stop."""
    async for piece in pieces:
        taking.feed(piece)
        tell(_counted(before, taking))
        if stop.asked:
            return
    taking.finish()


def _counted(before: Progress, taking: Taking) -> Progress:
    stored = sum(one.status == 0 for one in taking.outcomes)
    return Progress(completed=before.completed + stored, failed=before.failed + len(taking.outcomes) - stored)


def _boundary(content_type: str) -> str:
    """The boundary of a multipart/related answer; raises `NotMultipart`."""
    header = Message()
    header["Content-Type"] = content_type
    if header.get_content_type() != "multipart/related":
        raise NotMultipart("no multipart/related")
    return str(header.get_boundary() or "")


def _refuse(node: WebNode, status: int, *, query: bool = False) -> None:
    """What a status that is no success means."""
    if 200 <= status < 300:
        return
    words = endpoint.phrase(status)
    if status in (408, 425, 429) or status >= 500:
        raise NodeAway(node=node.name, why=f"it answered {words}")
    if status in (401, 403) or 300 <= status < 400:
        raise NodeRefuses(field="nodes.web", node=node.name, why=endpoint.verdict(status).rstrip(".").lower())
    if query:
        raise QueryRefused(node=node.name, status=words)
    raise RetrieveFailed(node=node.name, status=words)
