"""Settings as one file: export, import with a dry run, what two versions differ in, back to an earlier one."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody, QueryParameter

from api.guards import declared
from api.routes.settings import version_of
from api.views import View
from api.visit import Visit
from appliance import settings, settings_file
from appliance.settings import Settings
from appliance.settings_file import Difference

TOML = "application/toml"
BasedOn = Annotated[str, HeaderParameter(name="If-Match", description="The version that the change is based on.")]
DryRun = Annotated[bool, QueryParameter(description="Say what would change, and change nothing.")]


NEWEST = 1_000_000_000
"""Stands for the newest version: a number that can be left out keeps no bounds in the document when it may also be null."""


class ExportAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """With a passphrase (15 characters or more) the file holds the secrets too, encrypted."""

    passphrase: Annotated[str, msgspec.Meta(max_length=1024)] = ""


class ImportAsked(ExportAsked, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """An exported file, and the passphrase of one with secrets."""

    text: str


class VersionNamed(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A saved version."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


class DifferenceView(View, frozen=True, kw_only=True):
    """One field that differs; secrets are never shown."""

    field: str
    before: str
    after: str


class TakenOver(View, frozen=True, kw_only=True):
    """What an import or a restore changed, or would change."""

    version: int
    dry_run: bool
    differences: list[DifferenceView]
    restart: list[str]
    missing_secrets: list[str] = []


def _views(found: list[Difference]) -> list[DifferenceView]:
    return [DifferenceView(field=one.field, before=one.before, after=one.after) for one in found]


async def _file(visit: Visit, passphrase: str) -> Response[str]:
    loaded = await visit.house.settings()
    async with visit.audited("settings.export", f"settings/{loaded.version}", "with secrets" if passphrase else ""):
        text = settings_file.export(loaded.settings, loaded.version, loaded.settings.site.name, passphrase)
    name = f'attachment; filename="ranvier-settings-{loaded.version}.toml"'
    return Response(text, media_type=TOML, headers={"Content-Disposition": name})


@get("/api/settings/export", operation_id="exportSettings", tags=["settings"], media_type=TOML, **declared("settings.read"))
async def export(visit: NamedDependency[Visit]) -> Response[str]:
    """All settings as one TOML file, without secrets."""
    return await _file(visit, "")


@post(
    "/api/settings/export",
    operation_id="exportSettingsWithSecrets",
    tags=["settings"],
    media_type=TOML,
    status_code=200,
    **declared("settings.write", 422),
)
async def export_with_secrets(visit: NamedDependency[Visit], data: JSONBody[ExportAsked]) -> Response[str]:
    """The same, with the secrets under a passphrase when one is given."""
    return await _file(visit, data.passphrase)


@post(
    "/api/settings/import",
    operation_id="importSettings",
    tags=["settings"],
    status_code=200,
    **declared("settings.write", 409, 412, 422, 428),
)
async def import_file(
    visit: NamedDependency[Visit], data: JSONBody[ImportAsked], dry_run: DryRun = False, if_match: BasedOn = ""
) -> TakenOver:
    """Takes a file over, whole or not at all; fields that it does not name stay as they are."""
    change = settings_file.read(data.text, data.passphrase)
    loaded = await visit.house.settings()
    wanted, _ = settings.patched(loaded.settings, change)
    changed = settings.changed_fields(loaded.settings, wanted)
    missing = settings_file.missing_secrets(change, loaded.settings)
    found = await _take(visit, wanted, changed, "settings.import", dry_run=dry_run, if_match=if_match)
    return msgspec.structs.replace(found, missing_secrets=missing)


@post(
    "/api/settings/restore",
    operation_id="restoreSettings",
    tags=["settings"],
    status_code=200,
    **declared("settings.write", 404, 409, 412, 422, 428),
)
async def restore(
    visit: NamedDependency[Visit], data: JSONBody[VersionNamed], dry_run: DryRun = False, if_match: BasedOn = ""
) -> TakenOver:
    """Makes an earlier version the newest again, secrets included."""
    earlier = await settings.load_version(visit.house.keys, data.version)
    loaded = await visit.house.settings()
    changed = settings.changed_fields(loaded.settings, earlier.settings)
    return await _take(visit, earlier.settings, changed, "settings.restore", dry_run=dry_run, if_match=if_match)


async def _take(visit: Visit, wanted: Settings, changed: list[str], action: str, *, dry_run: bool, if_match: str) -> TakenOver:
    loaded = await visit.house.settings()
    found = _views(settings_file.differences(loaded.settings, wanted))
    restart = [str(one) for one in sorted(settings.restarts(changed))]
    if dry_run or not changed:
        return TakenOver(version=loaded.version, dry_run=dry_run, differences=found, restart=restart)
    based_on = version_of(if_match)
    async with visit.audited(action, f"settings/{based_on + 1}", ", ".join(changed)):
        saved = await visit.house.save(wanted, based_on=based_on, actor=visit.caller.name, now=visit.now, changed=changed)
    return TakenOver(version=saved.version, dry_run=False, differences=found, restart=restart)


@get("/api/settings/differences", operation_id="compareSettings", tags=["settings"], **declared("settings.read", 404))
async def compare(
    visit: NamedDependency[Visit],
    before: Annotated[int, QueryParameter(ge=0, le=NEWEST, description="A version; 0 is the defaults.")],
    after: Annotated[int, QueryParameter(ge=0, le=NEWEST, description="The newest when absent.")] = NEWEST,
) -> list[DifferenceView]:
    """What two versions differ in."""
    newest = (await visit.house.settings()).settings if after == NEWEST else await _version(visit, after)
    return _views(settings_file.differences(await _version(visit, before), newest))


async def _version(visit: Visit, version: int) -> Settings:
    return (await settings.load_version(visit.house.keys, version)).settings if version else Settings()


HANDLERS = (export, export_with_secrets, import_file, restore, compare)
