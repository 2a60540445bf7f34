"""Settings: read, schema, change with a check of the version, history."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, patch
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody

from api.guards import declared
from api.house_views import RevisionView, SettingsSaved, SettingsView
from api.problems import VersionMissing
from api.views import at
from api.visit import Visit
from appliance import settings
from appliance.moments import iso

Change = Annotated[dict[str, dict[str, Any]], msgspec.Meta(description="Section -> field -> value.")]


@get("/api/settings", operation_id="getSettings", tags=["settings"], **declared("settings.read"))
async def get_settings(visit: NamedDependency[Visit]) -> Response[SettingsView]:
    """The settings in force; secrets are never shown."""
    loaded = await visit.house.settings()
    newest = await settings.history(visit.house.keys, 1)
    view = SettingsView(
        version=loaded.version,
        settings=settings.shown(loaded.settings),
        saved_at=at(newest[0].saved_at) if newest else None,
        saved_by=newest[0].saved_by if newest else "",
    )
    return Response(view, headers={"ETag": f'"{loaded.version}"'})


@get("/api/settings/schema", operation_id="getSettingsSchema", tags=["settings"], **declared("settings.read"))
async def get_settings_schema() -> dict[str, Any]:
    """JSON Schema of all settings, with titles, help and bounds."""
    return settings.schema()


@patch("/api/settings", operation_id="changeSettings", tags=["settings"], **declared("settings.write", 409, 412, 422, 428))
async def change_settings(
    visit: NamedDependency[Visit],
    data: JSONBody[Change],
    if_match: Annotated[
        str, HeaderParameter(name="If-Match", description="The version that the change is based on, as GET gave it in ETag.")
    ] = "",
) -> Response[SettingsSaved]:
    """Changes some fields; refused as a whole when one is wrong, or when somebody saved meanwhile."""
    based_on = version_of(if_match)
    loaded = await visit.house.settings()
    if loaded.version != based_on:
        raise settings.SettingsStale(version=loaded.version)
    result, changed = settings.patched(loaded.settings, data)
    async with visit.audited("settings.change", f"settings/{based_on + 1}", ", ".join(changed)):
        saved = await visit.house.save(result, based_on=based_on, actor=visit.caller.name, now=visit.now, changed=changed)
    view = SettingsSaved(version=saved.version, changed=changed, restart=sorted(settings.restarts(changed)))
    return Response(view, headers={"ETag": f'"{saved.version}"'})


def version_of(if_match: str) -> int:
    """The version that a change is based on; raises `VersionMissing`."""
    digits = if_match.strip().removeprefix("W/").strip('"')
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        raise VersionMissing()
    return int(digits)


@get("/api/settings/history", operation_id="getSettingsHistory", tags=["settings"], **declared("settings.read"))
async def get_settings_history(visit: NamedDependency[Visit]) -> list[RevisionView]:
    """The last fifty saved versions, newest first, with the names of the fields that changed."""
    return [
        RevisionView(version=one.version, saved_at=iso(one.saved_at), saved_by=one.saved_by, changed=one.changed)
        for one in await settings.history(visit.house.keys)
    ]


HANDLERS = (get_settings, get_settings_schema, change_settings, get_settings_history)
