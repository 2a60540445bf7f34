"""What may be saved: the rules between sections, and which fields apply or are read by any part of this version."""

from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import msgspec

from appliance import errors
from appliance.access.section import SamlSection
from appliance.compute.section import ComputeSection
from appliance.delivery.body import check
from appliance.delivery.destinations import names_in_values, wants_identity
from appliance.delivery.rules import check as check_destination
from appliance.delivery.section import AnyDestination, Rest
from appliance.fields import section_fields, to_plain
from appliance.qc.section import CHECK_NAMES
from appliance.receive.section import DropFolder
from appliance.settings_schema import Settings, section_types
from appliance.upkeep.cadence import problem


class FieldProblem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one field."""

    field: str
    message: str


def plain_values(settings: Settings) -> dict[str, dict[str, Any]]:
    """Section -> field -> value as builtins, secrets included: for comparing, never for showing."""
    found: dict[str, dict[str, Any]] = to_plain(settings, lambda one: one.reveal())
    return found


def changed_fields(before: Settings, after: Settings) -> list[str]:
    """The names of the fields that differ."""
    old, new = plain_values(before), plain_values(after)
    return [
        f"{section}.{name}" for section, fields in new.items() for name, value in fields.items() if old[section][name] != value
    ]


def unheeded(before: Settings, after: Settings) -> list[FieldProblem]:
    """The changes that nothing would heed, each with the reason; going back to a default is always allowed."""
    values, defaults = plain_values(after), plain_values(Settings())
    problems = []
    for place in changed_fields(before, after):
        section, _, name = place.partition(".")
        if values[section][name] == defaults[section][name]:
            continue
        why = reason_against(place, values)
        if why:
            problems.append(FieldProblem(field=place, message=why))
    return problems


def reason_against(place: str, values: dict[str, dict[str, Any]]) -> str:
    """Why a field cannot be set among these values; empty when it can."""
    section, _, name = place.partition(".")
    meta = section_fields(section_types()[section]).get(name)
    extra = (meta.extra_json_schema or {}) if meta else {}
    if extra.get("x-unavailable"):
        return f"is not available in this version: {extra['x-unavailable']}"
    for condition in filter(None, str(extra.get("x-applies-when", "")).split(", ")):
        where, _, wanted = condition.partition("=")
        there, _, field_name = where.partition(".")
        if str(values[there][field_name]) not in wanted.split("|"):
            return f"applies only when {where} is {wanted.replace('|', ' or ')}; it is {values[there][field_name]}"
    return ""


def cross_check(settings: Settings) -> list[FieldProblem]:
    """The rules between sections and between entries of a list."""
    problems: list[FieldProblem] = []
    names = [one.name for one in settings.delivery.everyone]
    for name in sorted({one for one in names if names.count(one) > 1}):
        problems.append(FieldProblem(field="delivery.destinations", message=f"two destinations are called {name!r}"))
    notify = settings.notify
    if notify.identity and notify.protocol == "email" and notify.smtp_security == "none":
        problems.append(FieldProblem(field="notify.identity", message="leaves by encrypted mail only"))
    if notify.identity and notify.webhook_url.startswith("http:"):
        problems.append(FieldProblem(field="notify.identity", message="leaves to a webhook over https:// only"))
    told = [one.name for one in notify.rules]
    for name in sorted({one for one in told if told.count(one) > 1}):
        problems.append(FieldProblem(field="notify.rules", message=f"two rules are for {name}"))
    nodes = [one.name for one in settings.nodes.everyone]
    for name in sorted({one for one in nodes if nodes.count(one) > 1}):
        problems.append(FieldProblem(field="nodes.nodes", message=f"two PACS nodes are called {name!r}"))
    problems += _drop_problems(settings.drops.folders)
    if settings.receive.port == settings.access.port:
        problems.append(FieldProblem(field="access.port", message="is the DICOM port as well"))
    if settings.portal.enabled and not settings.scan.enabled:
        problems.append(FieldProblem(field="portal.enabled", message="needs the malware scanner: switch scan.enabled on"))
    problems += _cluster_problems(settings.compute)
    problems += _saml_problems(settings.saml)
    if settings.site.time_zone not in available_timezones():
        problems.append(FieldProblem(field="site.time_zone", message="is no IANA time zone, like Europe/Berlin or UTC"))
    for one in settings.delivery.everyone:
        problems += _destination_problems(one)
    for one in settings.delivery.group_destinations:
        if wants_identity(one) or names_in_values(one):
            message = f"{one.name}: a group report names no patient; switch the identity off"
            problems.append(FieldProblem(field="delivery.group_destinations", message=message))
    for place, schedule in (("scheduler.cron", settings.scheduler.cron), ("groups.schedule", settings.groups.schedule)):
        wrong_schedule = problem(schedule) if schedule else ""
        if wrong_schedule:
            problems.append(FieldProblem(field=place, message=wrong_schedule))
    for name in sorted(set(settings.qc.switched_off) - set(CHECK_NAMES)):
        near = ", ".join(get_close_matches(name, CHECK_NAMES, 3, 0.4)) or ", ".join(CHECK_NAMES)
        problems.append(FieldProblem(field="qc.switched_off", message=f"there is no check {name[:40]!r}; there is {near}"))
    if not settings.products.default_products:
        problems.append(FieldProblem(field="products.default_products", message="name at least one product"))
    return problems


def _saml_problems(section: SamlSection) -> list[FieldProblem]:
    """Single sign-on that is switched on must be able to work, and not over plain HTTP (UI-07)."""
    if not section.enabled or section.mode == "local":
        return []
    needed = ("idp_entity_id", "idp_sso_url", "idp_certificate", "sp_entity_id", "sp_base_url")
    problems = [FieldProblem(field=f"saml.{name}", message="is needed") for name in needed if not getattr(section, name)]
    base = urlsplit(section.sp_base_url)
    if section.sp_base_url and base.scheme != "https" and base.hostname not in ("localhost", "127.0.0.1", "::1"):
        problems.append(FieldProblem(field="saml.sp_base_url", message="must begin with https://"))
    return problems


def _destination_problems(destination: AnyDestination) -> list[FieldProblem]:
    """What a destination could never be sent anything for."""
    try:
        if isinstance(destination, Rest):
            check(destination.body, identity=destination.identity_in_values)
        check_destination(destination)
    except errors.Misconfigured as error:
        return [FieldProblem(field="delivery.destinations", message=f"{destination.name}: {error.what}")]
    return []


def _cluster_problems(section: ComputeSection) -> list[FieldProblem]:
    """Whoever speaks with a scheduler can run programs on the cluster: only TLS keeps that to us, save on one machine."""
    address = section.scheduler
    files = ("scheduler_ca", "scheduler_certificate", "scheduler_key")
    if address.startswith("tls://"):
        missing = [name for name in files if not getattr(section, name)]
        return [FieldProblem(field=f"compute.{name}", message="is needed with a tls:// address") for name in missing]
    if address and not address.startswith(("tcp://127.0.0.1:", "tcp://localhost:", "tcp://[::1]:")):
        return [FieldProblem(field="compute.scheduler", message="use tls:// for a scheduler on another machine")]
    return []


def _drop_problems(folders: tuple[DropFolder, ...]) -> list[FieldProblem]:
    """Each watched folder is a site of its own: what one puts in must not come out at another."""
    problems = []
    for word, values in (
        ("are called", [one.name for one in folders]),
        ("have the sender", [one.sender for one in folders]),
        ("watch the folder", [one.folder.rstrip("/") for one in folders]),
    ):
        twice = sorted({one for one in values if values.count(one) > 1})
        problems += [FieldProblem(field="drops.folders", message=f"two folders {word} {one!r}") for one in twice]
    return problems
