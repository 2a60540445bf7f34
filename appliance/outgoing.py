"""Where the reports of a study go: the destinations of the settings, and the folder that the study was put into."""

from appliance.delivery.section import AnyDestination, Folder
from appliance.receive.section import DropFolder
from appliance.records import drops
from appliance.records.engine import Records
from appliance.settings import Settings

_OUTGOING = "outgoing"


async def names(records: Records, settings: Settings, study: str, kind: str) -> list[str]:
    """The destinations of a study's report, or failure report, by their names."""
    section = settings.delivery
    found = [one.name for one in (section.failure_destinations if kind == "failure" else section.destinations)]
    folder, sender = await drops.brought_by(records, study)
    # A study that somebody else sent first does not go back to a site that put some of it there later.
    home = next((one for one in settings.drops.folders if (one.name, one.sender) == (folder, sender)), None)
    return [*found, outgoing_of(home).name] if home is not None else found


def named(settings: Settings, name: str) -> AnyDestination | None:
    """A destination by its name; None when it is no longer in the settings."""
    folders = (outgoing_of(one) for one in settings.drops.folders)
    return next((one for one in (*settings.delivery.everyone, *folders) if one.name == name), None)


def outgoing_of(folder: DropFolder) -> Folder:
    """The outgoing folder of a watched one, as a destination; its name is none that a destination of the settings can have."""
    return Folder(
        name=f"{folder.name}/{_OUTGOING}",
        folder=f"{folder.folder.rstrip('/')}/{_OUTGOING}",
        formats=folder.formats,
        identity_in_reports=folder.identity_in_reports,
    )
