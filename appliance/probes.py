"""The test buttons: each takes settings as they stand in a form, saved or not, and says exactly what it found in time."""

import asyncio
from typing import Any, Literal, get_args

import msgspec

from appliance import settings
from appliance.access import identity_provider
from appliance.access.section import SamlSection
from appliance.cloud import token
from appliance.cloud.section import CloudSection
from appliance.delivery import destinations
from appliance.delivery.section import AnyDestination, DicomNode
from appliance.fields import Section
from appliance.notify import mail, messenger, webhook
from appliance.notify.section import NotifySection
from appliance.probe import TEST_S, Probe
from appliance.receive.section import DropFolder, PacsNode, WebNode
from appliance.scan import clamd
from appliance.scan.section import ScanSection
from appliance.settings_schema import Settings

Kind = Literal["echo", "node", "drop", "delivery", "notification", "saml", "cloud", "malware"]
KINDS: tuple[str, ...] = get_args(Kind)
DEADLINE_S = 14.0
SECTIONS: dict[str, str] = {"notification": "notify", "saml": "saml", "cloud": "cloud", "malware": "scan"}
"""Test -> the section whose fields it takes; `echo` and `delivery` take one destination, `node` one node, `drop` one folder."""


async def run(in_force: Settings, kind: Kind, values: dict[str, Any], *, now: int) -> Probe:
    """Tests what `values` change in the settings in force; nothing is saved. Raises `SettingsRefused` for bad values.

    Secrets of `@secret:unchanged` are the stored ones. Whatever the other side does, there is an answer within 15 seconds;
    what still runs then in a thread ends by its own time-outs.
    """
    wanted = _wanted(in_force, kind, values)
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await _run(kind, wanted, now)
    except TimeoutError:
        return Probe(ok=False, lines=[f"No answer within {DEADLINE_S:.0f} s."])


def _wanted(in_force: Settings, kind: Kind, values: dict[str, Any]) -> Section:
    if kind == "node":
        node = settings.node_from(in_force, values)
        return msgspec.structs.replace(node, timeout_s=min(node.timeout_s, TEST_S))
    if kind == "drop":
        return settings.drop_from(in_force, values)
    if kind in ("echo", "delivery"):
        return destination(in_force, values, kind)
    return settings.section_from(in_force, SECTIONS[kind], values)


async def _run(kind: Kind, wanted: Section, now: int) -> Probe:
    match wanted:
        case DicomNode() if kind == "echo":
            return await destinations.echo(wanted)
        case PacsNode():
            from appliance.receive.nodes.echo import echo

            return await asyncio.to_thread(echo, wanted)
        case WebNode():
            from appliance.receive.nodes import web

            return await asyncio.to_thread(web.probe, wanted)
        case DropFolder():
            from appliance.receive import drop

            ok, lines = await asyncio.to_thread(drop.test_lines, wanted)
            return Probe(ok=ok, lines=lines)
        case NotifySection(protocol="email"):
            return await mail.probe(wanted)
        case NotifySection(protocol="apprise"):
            return await messenger.probe(wanted)
        case NotifySection(protocol="webhook"):
            return await webhook.probe(wanted)
        case NotifySection():
            return Probe(ok=False, lines=["The delivery protocol is none: there is nothing to test."])
        case SamlSection():
            return await identity_provider.probe(wanted, now=now)
        case CloudSection():
            return await token.probe(wanted)
        case ScanSection():
            return await clamd.probe(wanted)
    assert isinstance(wanted, AnyDestination)
    return await destinations.probe(wanted)


def destination(in_force: Settings, values: dict[str, Any], kind: Kind = "delivery") -> AnyDestination:
    """A destination as it stands in a form, with a time-out that leaves room for the answer; raises `SettingsRefused`."""
    given = {"protocol": "dicom-pdf", "name": "echo", **values} if kind == "echo" else values
    found = settings.destination_from(in_force, given)
    if kind == "echo" and not isinstance(found, DicomNode):
        raise settings.SettingsRefused([settings.FieldProblem(field="protocol", message="only DICOM nodes answer an echo")])
    return msgspec.structs.replace(found, timeout_s=min(found.timeout_s, TEST_S))
