"""Products that a site adds: `<home>/products/<id>/manifest.toml` (or `.json`) and a command.

The command is run without a shell, with an in-folder of de-identified DICOM files and an out-folder, under the limits of every
stage. It leaves `result.json` in the out-folder. Folders and environment are those of modules made for mercure as far as they
mean the same here.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from appliance.errors import Misconfigured
from appliance.products.manifest import Manifest, Protocol, Step

FILES = ("manifest.toml", "manifest.json")

_Identifier = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_\-]{0,39}(?!\n)$")]
_Line = Annotated[str, Meta(min_length=1, max_length=200)]


class ManifestWrong(Misconfigured):
    """The product in {folder} cannot be offered: {reason}."""

    code = "product-manifest-wrong"
    next_step = "Correct the named field of its manifest; the page on a site's own products lists them all."


class SiteManifest(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The manifest file of a site's product."""

    id: _Identifier
    version: Annotated[str, Meta(min_length=1, max_length=32)]
    title: _Line
    intended_use: Annotated[str, Meta(min_length=1, max_length=1000)]
    command: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    runs_on: Annotated[tuple[Literal["local", "cloud", "hub"], ...], Meta(min_length=1)] = ("local",)
    protocol: Protocol = Protocol()
    outputs: list[str] = []
    memory_mb: Annotated[int, Meta(ge=64, le=1_048_576)] = 4096
    cores: Annotated[int, Meta(ge=1, le=256)] = 1
    timeout_s: Annotated[int, Meta(ge=1, le=604_800)] = 7200
    quiet_s: Annotated[int, Meta(ge=0, le=604_800)] = 0
    out_mb: Annotated[int, Meta(ge=1, le=1_048_576)] = 16384
    settings: dict[str, Any] = {}


def manifests(home: Path) -> dict[str, Manifest]:
    """The site's products whose manifests are right, by identifier."""
    found: dict[str, Manifest] = {}
    for folder in _folders(home):
        try:
            found[folder.name] = read(folder)
        except ManifestWrong:
            continue
    return found


def faults(home: Path) -> dict[str, str]:
    """Folder -> what is wrong with its manifest."""
    found: dict[str, str] = {}
    for folder in _folders(home):
        try:
            read(folder)
        except ManifestWrong as fault:
            found[folder.name] = str(fault.facts["reason"])
    return found


def read(folder: Path) -> Manifest:
    """The manifest of one product; raises `ManifestWrong`, which names the field."""
    files = [folder / name for name in FILES if (folder / name).is_file()]
    if len(files) != 1:
        raise ManifestWrong(field="manifest", folder=folder.name, reason=f"it needs one of {' or '.join(FILES)}")
    try:
        plain = (
            tomllib.loads(files[0].read_text()) if files[0].suffix == ".toml" else msgspec.json.decode(files[0].read_bytes())
        )
        found = msgspec.convert(plain, SiteManifest)
    except msgspec.ValidationError as fault:
        message, _, place = str(fault).partition(" - at `$.")
        where = place.rstrip("`") or "manifest"
        raise ManifestWrong(field=where, folder=folder.name, reason=f"{where}: {message}") from fault
    except (tomllib.TOMLDecodeError, msgspec.DecodeError, UnicodeDecodeError, OSError) as fault:
        raise ManifestWrong(field="manifest", folder=folder.name, reason=f"{files[0].name} cannot be read") from fault
    if "local" in found.runs_on and not found.command:
        raise ManifestWrong(field="command", folder=folder.name, reason="command: a product that runs here needs one")
    if found.id != folder.name:
        raise ManifestWrong(field="id", folder=folder.name, reason=f"id: {found.id!r} is not the name of its folder")
    return Manifest(
        **{name: getattr(found, name) for name in SiteManifest.__struct_fields__},
        steps=[Step(name="run", title="Running", share=1.0)],
        folder=str(folder),
    )


def _folders(home: Path) -> list[Path]:
    place = home / "products"
    return sorted(one for one in place.iterdir() if one.is_dir()) if place.is_dir() else []
