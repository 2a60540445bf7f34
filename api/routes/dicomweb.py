"""DICOMweb (PS3.18): STOW-RS into the receiving room, QIDO-RS and WADO-RS over what is held."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal
from urllib.parse import parse_qs

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from api.guards import declared
from api.media import accepted, boundary_of, syntax_wanted
from api.visit import Visit
from appliance import pictures
from appliance.dicomweb import retrieve, search
from appliance.dicomweb.answers import Answer, element, uid
from appliance.dicomweb.search import Asked, World
from appliance.errors import Rejected
from appliance.receive.multipart import NotMultipart, Parts
from appliance.receive.posted import Outcome, Postbox
from appliance.records.web import Held

ROOT = "/dicom-web"
JSON = "application/dicom+json"
_BLOCK = 1 << 20
_OF_INSTANCE = ROOT + "/studies/{study:str}/series/{series:str}/instances/{instance:str}"


class UnreadableBody(Rejected):
    """The body is not multipart/related with parts of application/dicom, or ends too early; what was whole is kept."""

    code = "unreadable-body"
    next_step = "Send it again: what is held already is not stored twice."


def _read(*statuses: int) -> dict[str, Any]:
    return {**declared("dicomweb.read", *statuses), "include_in_schema": False}


# --- STOW-RS ----------------------------------------------------------------------------------------------------------


@post(
    [f"{ROOT}/studies", f"{ROOT}/studies/{{study:str}}"],
    operation_id="storeInstances",
    request_max_body_size=None,
    include_in_schema=False,
    **declared("dicomweb.store", 409, 415),
)
async def store(
    request: Request[Any, Any, Any], visit: NamedDependency[Visit], state: State, study: FromPath[str] = ""
) -> Response[Any]:
    """Stores the instances of a body; answered when all that is called stored is synced to disk."""
    box: Postbox = state.postbox
    boundary = boundary_of(request.headers.get("content-type", ""))
    async with box.taking(
        Parts(boundary) if boundary else None, sender=visit.caller.name, address=visit.origin, study=study
    ) as taking:
        waiting: list[bytes] = []
        try:
            async for piece in request.stream():
                waiting.append(piece)
                if sum(map(len, waiting)) >= _BLOCK:
                    await asyncio.to_thread(taking.feed, b"".join(waiting))
                    waiting.clear()
            await asyncio.to_thread(taking.feed, b"".join(waiting))
            await asyncio.to_thread(taking.finish)
        except NotMultipart:
            raise UnreadableBody() from None
    bad = [one for one in taking.outcomes if one.status]
    await visit.note("dicomweb.store", "", "done" if not bad else "failed", f"{len(taking.outcomes)} instances")
    status = 200 if not bad else 202 if len(bad) < len(taking.outcomes) else 409
    return Response(stored(taking.outcomes, _base(request)), media_type=JSON, status_code=status)


def stored(outcomes: Sequence[Outcome], base: str) -> Answer:
    """The store instances response module (PS3.18 Table 10.5.3-1)."""
    good = [_stored(one, base) for one in outcomes if not one.status]
    bad = [{**_named(one), "00081197": element("US", one.status)} for one in outcomes if one.status]
    places = {one.study for one in outcomes if not one.status}
    answer: Answer = {"00081190": element("UR", f"{base}/studies/{places.pop()}")} if len(places) == 1 else {}
    if good:
        answer["00081199"] = element("SQ", *good)
    if bad:
        answer["00081198"] = element("SQ", *bad)
    return answer


def _named(one: Outcome) -> Answer:
    return {"00081150": uid(one.sop_class), "00081155": uid(one.sop_instance)}


def _stored(one: Outcome, base: str) -> Answer:
    place = f"{base}/studies/{one.study}/series/{one.series}/instances/{one.sop_instance}"
    return {**_named(one), "00081190": element("UR", place)}


# --- QIDO-RS ----------------------------------------------------------------------------------------------------------


@get(f"{ROOT}/studies", operation_id="searchStudies", **_read())
async def search_studies(request: Request[Any, Any, Any], visit: NamedDependency[Visit]) -> Response[Any]:
    """Studies by UID, patient, accession number, date, description, modality."""
    return await _found(visit, request, "studies", search.asked(_query(request)))


@get([f"{ROOT}/series", f"{ROOT}/studies/{{study:str}}/series"], operation_id="searchSeries", **_read())
async def search_series(
    request: Request[Any, Any, Any], visit: NamedDependency[Visit], study: FromPath[str] = ""
) -> Response[Any]:
    """Series of a study, or of all."""
    return await _found(visit, request, "series", search.asked(_query(request), **_of(StudyInstanceUID=study)))


@get(
    [
        f"{ROOT}/instances",
        f"{ROOT}/studies/{{study:str}}/instances",
        f"{ROOT}/studies/{{study:str}}/series/{{series:str}}/instances",
    ],
    operation_id="searchInstances",
    **_read(),
)
async def search_instances(
    request: Request[Any, Any, Any], visit: NamedDependency[Visit], study: FromPath[str] = "", series: FromPath[str] = ""
) -> Response[Any]:
    """Instances of a series, of a study, or of all."""
    fixed = _of(StudyInstanceUID=study, SeriesInstanceUID=series)
    return await _found(visit, request, "instances", search.asked(_query(request), **fixed))


async def _found(
    visit: Visit, request: Request[Any, Any, Any], level: Literal["studies", "series", "instances"], asked: Asked
) -> Response[Any]:
    world = _world(visit)
    look = {"studies": search.studies, "series": search.series, "instances": search.instances}[level]
    pairs = await look(world, asked)
    await _audited(visit, "dicomweb.search", [study for study, _ in pairs])
    if not pairs:
        return Response(None, status_code=204)
    base = _base(request)
    return Response([{**found, "00081190": element("UR", _address(base, found))} for _, found in pairs], media_type=JSON)


def _address(base: str, found: Answer) -> str:
    parts = (("studies", "0020000D"), ("series", "0020000E"), ("instances", "00080018"))
    named = [(name, found[tag]["Value"][0]) for name, tag in parts if found.get(tag, {}).get("Value")]
    return base + "".join(f"/{name}/{value}" for name, value in named)


# --- WADO-RS ----------------------------------------------------------------------------------------------------------


@get(
    [
        f"{ROOT}/studies/{{study:str}}",
        f"{ROOT}/studies/{{study:str}}/series/{{series:str}}",
        _OF_INSTANCE,
    ],
    operation_id="retrieveInstances",
    **_read(404),
)
async def instances(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    study: FromPath[str],
    series: FromPath[str] = "",
    instance: FromPath[str] = "",
) -> Response[Any] | Stream:
    """Instances as multipart/related, one file a part; one alone also as application/dicom."""
    found = await _held(visit, study, series, instance)
    asked = request.headers.get("accept", "")
    syntax = syntax_wanted(asked)
    if instance and accepted(asked, ("multipart/related", "application/dicom")) == "application/dicom":
        return Response(await pictures.part10(visit.house, found[0], syntax), media_type="application/dicom")
    first = await pictures.part10(visit.house, found[0], syntax)

    async def files() -> AsyncIterator[bytes]:
        yield first
        for one in found[1:]:
            yield await pictures.part10(visit.house, one, syntax)

    return _multipart(files(), "application/dicom", visit)


@get(
    [
        f"{ROOT}/studies/{{study:str}}/metadata",
        f"{ROOT}/studies/{{study:str}}/series/{{series:str}}/metadata",
        f"{_OF_INSTANCE}/metadata",
    ],
    operation_id="retrieveMetadata",
    **_read(404),
)
async def metadata(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    study: FromPath[str],
    series: FromPath[str] = "",
    instance: FromPath[str] = "",
) -> Response[Any]:
    """All attributes but bulk data."""
    found, root, base = await _held(visit, study, series, instance), _world(visit).storage.root, _base(request)

    def read() -> list[Answer]:
        answers = [retrieve.metadata(root, one, "") for one in found]
        for one in answers:
            if "7FE00010" in one:
                one["7FE00010"]["BulkDataURI"] = f"{_address(base, one)}/frames/1"
        return answers

    return Response(await asyncio.to_thread(read), media_type=JSON)


@get(f"{_OF_INSTANCE}/frames/{{frames:str}}", operation_id="retrieveFrames", **_read(404))
async def frames(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    study: FromPath[str],
    series: FromPath[str],
    instance: FromPath[str],
    frames: FromPath[str],
) -> Stream:
    """Frames by number, uncompressed, as multipart/related of application/octet-stream."""
    found = await _held(visit, study, series, instance)
    content = await pictures.frames(visit.house, found[0], _numbers(frames))

    async def each() -> AsyncIterator[bytes]:
        for one in content:
            yield one

    return _multipart(each(), "application/octet-stream", visit)


@get(
    [f"{_OF_INSTANCE}/rendered", f"{_OF_INSTANCE}/frames/{{frames:str}}/rendered"],
    operation_id="retrieveRendered",
    **_read(404),
)
async def rendered(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    study: FromPath[str],
    series: FromPath[str],
    instance: FromPath[str],
    frames: FromPath[str] = "",
) -> Response[bytes]:
    """A picture of an instance or of one of its frames, JPEG or PNG."""
    (frame,) = _numbers(frames)[:1] if frames else [0]
    if frames and not frame:
        raise retrieve.NoSuchFrame()
    return await _picture(request, visit, await _held(visit, study, series, instance), frame=frame)


@get(
    [
        f"{ROOT}/studies/{{study:str}}/thumbnail",
        f"{ROOT}/studies/{{study:str}}/series/{{series:str}}/thumbnail",
        f"{_OF_INSTANCE}/thumbnail",
    ],
    operation_id="retrieveThumbnail",
    **_read(404),
)
async def thumbnail(
    request: Request[Any, Any, Any],
    visit: NamedDependency[Visit],
    study: FromPath[str],
    series: FromPath[str] = "",
    instance: FromPath[str] = "",
) -> Response[bytes]:
    """A small picture of what is in the middle of a study, a series or an instance."""
    found = await _held(visit, study, series, instance)
    return await _picture(request, visit, [found[len(found) // 2]], edge=retrieve.THUMBNAIL)


def _numbers(text: str) -> list[int]:
    """Frame numbers of an address; 0 for what is none."""
    return [int(one) if one.isascii() and one.isdigit() and len(one) < 10 else 0 for one in text.split(",")][:10_000]


async def _picture(
    request: Request[Any, Any, Any], visit: Visit, found: list[Held], *, frame: int = 0, edge: int = 0
) -> Response[bytes]:
    media = accepted(request.headers.get("accept", ""), ("image/jpeg", "image/png"))
    form: Literal["JPEG", "PNG"] = "PNG" if media == "image/png" else "JPEG"
    content = await pictures.picture(visit.house, found[0], frame=frame, edge=edge, form=form)
    return Response(content, media_type=media)


async def _held(visit: Visit, study: str, series: str, instance: str) -> list[Held]:
    found = await retrieve.held(_world(visit), study, series, instance)
    await _audited(visit, "dicomweb.retrieve", [found[0].study])
    return found


async def _audited(visit: Visit, action: str, studies: list[str]) -> None:
    """Whoever finds or fetches a study has seen whose it is: one audit row with all of them, written first."""
    if studies:
        named = list(dict.fromkeys(studies))
        await visit.note(action, named[0] if len(named) == 1 else "", detail=" ".join(named))


def _multipart(parts: AsyncIterator[bytes], media: str, visit: Visit) -> Stream:
    boundary = f"ranvier-{visit.now:x}-part"

    async def body() -> AsyncIterator[bytes]:
        async for one in parts:
            yield f"--{boundary}\r\nContent-Type: {media}\r\n\r\n".encode() + one + b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    return Stream(body(), media_type=f'multipart/related; type="{media}"; boundary={boundary}')


def _world(visit: Visit) -> World:
    return World(visit.house.records, visit.house.keys, visit.house.storage)


def _base(request: Request[Any, Any, Any]) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', 'localhost')}{ROOT}"


def _query(request: Request[Any, Any, Any]) -> dict[str, list[str]]:
    try:
        return parse_qs(request.scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise search.BadSearch(why="it has too many parts") from None


def _of(**named: str) -> dict[str, str]:
    return {name: value for name, value in named.items() if value}


HANDLERS = (store, search_studies, search_series, search_instances, instances, metadata, frames, rendered, thumbnail)
