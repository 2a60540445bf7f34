"""What every process of the appliance holds: the home folder, its keys, its storage and the open records."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance import certificates
from appliance.errors import Misconfigured
from appliance.keys import Keys, load_keys
from appliance.products import catalogue, offered
from appliance.records.engine import Records, migrate
from appliance.settings import FieldProblem, Loaded, Settings, load, load_bootstrap, save
from appliance.storage import Storage

HOME_VARIABLE = "RANVIER_HOME"


class NoHome(Misconfigured):
    """There is no appliance in {folder}."""

    code = "no-home"
    next_step = "Run `ranvier init`, or name its data folder in RANVIER_HOME."


@dataclass(frozen=True, slots=True)
class House:
    """One appliance as one process sees it."""

    home: Path
    storage: Storage
    keys: Keys
    records: Records

    async def settings(self) -> Loaded:
        """The settings in force now."""
        return await load(self.keys)

    async def save(self, settings: Settings, *, based_on: int, actor: str, now: int, changed: list[str]) -> Loaded:
        """Stores settings whose products and certificates can be used; raises `SettingsStale` or `SettingsRefused`."""

        def further(before: Settings, after: Settings) -> list[FieldProblem]:
            return [
                *product_problems(self.home, before, after),
                *certificate_problems(before, after, now),
                *idp_problems(before, after, now),
            ]

        return await save(self.keys, settings, based_on=based_on, actor=actor, now=now, changed=changed, further=further)


def product_problems(home: Path, before: Settings, after: Settings) -> list[FieldProblem]:
    """PRO-07: default products that this appliance does not offer in the processing mode, when either was changed."""
    mode, wanted = after.compute.mode, after.products.default_products
    if mode == before.compute.mode and wanted == before.products.default_products:
        return []
    known, can = catalogue(home), offered(home, mode)
    listed = ", ".join(sorted(can)) or "none"
    problems = []
    for one in wanted:
        if one not in known:
            message = f"no product {one[:40]!r} is installed; there are: {', '.join(sorted(known))}"
            problems.append(FieldProblem(field="products.default_products", message=message))
        elif one not in can:
            message = f"{one} does not run in processing mode {mode}; those that do: {listed}"
            problems.append(FieldProblem(field="products.default_products", message=message))
    return problems


def certificate_problems(before: Settings, after: Settings, now: int) -> list[FieldProblem]:
    """What is wrong with certificates that were changed; one that has expired since it was saved keeps nobody from saving."""
    problems: list[FieldProblem] = []
    # The authority of receiving is that of its callers.
    doors = (
        ("access", before.access, after.access, after.access.tls_authority),
        ("receive", before.receive, after.receive, ""),
    )
    for name, old, new, authority in doors:
        same = (new.tls_certificate, new.tls_key, authority) == (
            old.tls_certificate,
            old.tls_key,
            authority and old.tls_authority,
        )
        if same or not (new.tls_certificate or new.tls_key):
            continue
        try:
            certificates.examine(new.tls_certificate, new.tls_key.reveal() if new.tls_key else "", authority, now=now)
        except certificates.BadCertificate as error:
            problems.append(FieldProblem(field=f"{name}.tls_{error.field}", message=str(error.facts["cause"])))
    return problems


def idp_problems(before: Settings, after: Settings, now: int) -> list[FieldProblem]:
    """What is wrong with the identity provider's certificates, when they were changed (UI-07)."""
    field, text = "saml.idp_certificate", after.saml.idp_certificate
    if not text or text == before.saml.idp_certificate:
        return []
    try:
        facts = certificates.facts_of(text, now)
    except certificates.BadCertificate as error:
        return [FieldProblem(field=field, message=str(error.facts["cause"]))]
    return [FieldProblem(field=field, message="has expired")] if facts.valid_until <= now else []


def default_home() -> Path:
    """`RANVIER_HOME`, else `/var/lib/ranvier` where that exists and is ours, else a folder in the user's home."""
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    system = Path("/var/lib/ranvier")
    if os.access(system, os.W_OK):
        return system
    return Path.home() / ".local" / "share" / "ranvier"


@asynccontextmanager
async def open_house(home: Path, *, create: bool = False) -> AsyncIterator[House]:
    """Opens an appliance for the time of a block; with `create` makes what is missing (first boot, tests)."""
    if not create and not (home / "keys" / "root.key").exists():
        raise NoHome(folder=str(home))
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = load_keys(home / "keys" / "root.key", create=create)
    storage = Storage(home)
    storage.prepare()
    async with Records(load_bootstrap(home).url(home)) as records:
        await migrate(records)
        yield House(home=home, storage=storage, keys=keys, records=records)
