"""An atlas that a site installs as files: a template to register to, and labels with names.

`<data folder>/atlas/atlas.json` names the files beside it; each is checked against its SHA-256. The appliance ships none: the
licence of an atlas is between its makers and the site, and stands in the same file, from where it goes into the report.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import nibabel
import numpy as np
from msgspec import Meta

from appliance.errors import Failed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_nibabel: Any = nibabel
DESCRIPTION = "atlas.json"
_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]


class AtlasWrong(Failed):
    """The installed atlas cannot be used: {reason}."""

    code = "atlas-wrong"
    next_step = "Install the atlas anew, or remove its folder to run without region values."


class AtlasFile(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One file beside `atlas.json`."""

    file: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*(?!\n)$")]
    sha256: _Sha256


class AtlasDescription(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """`atlas.json`."""

    name: str
    version: str
    licence: str
    template: AtlasFile
    """White-matter probability or mean FA in template space (NIfTI)."""
    labels: AtlasFile
    """Whole numbers in the same space, at any resolution (NIfTI)."""
    names: dict[str, str]
    """Label's number -> region's name, with `_L` or `_R` at its end for one side of a pair."""


@dataclass(frozen=True, slots=True)
class Image3:
    """An image and where its voxels lie."""

    pixels: "NDArray[Any]"
    affine: "NDArray[np.float64]"
    """4 x 4, voxel indices to RAS mm."""


@dataclass(frozen=True, slots=True)
class Atlas:
    """An installed atlas, read and checked."""

    description: AtlasDescription
    template: Image3
    labels: Image3


def installed(data_folder: Path) -> Atlas | None:
    """The atlas of a data folder, None where there is none; raises `AtlasWrong`."""
    folder = data_folder / "atlas"
    if not (folder / DESCRIPTION).is_file():
        return None
    try:
        description = msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=AtlasDescription)
    except msgspec.MsgspecError as fault:
        raise AtlasWrong(reason=f"{DESCRIPTION} is not as documented") from fault
    template, labels = (_read(folder, one) for one in (description.template, description.labels))
    numbers = {int(one) for one in np.unique(labels.pixels)} - {0}
    named = {int(one) for one in description.names if one.isdigit()}
    if not numbers <= named:
        raise AtlasWrong(reason=f"{len(numbers - named)} labels have no name")
    return Atlas(description, template, labels)


def _read(folder: Path, wanted: AtlasFile) -> Image3:
    path = folder / wanted.file
    if not path.is_file():
        raise AtlasWrong(reason=f"{wanted.file} is missing")
    if hashlib.sha256(path.read_bytes()).hexdigest() != wanted.sha256:
        raise AtlasWrong(reason=f"{wanted.file} is not the file that {DESCRIPTION} names (its SHA-256 differs)")
    try:
        image = _nibabel.load(path)
        pixels = np.asarray(image.dataobj)
    except (_nibabel.filebasedimages.ImageFileError, OSError, ValueError) as fault:
        raise AtlasWrong(reason=f"{wanted.file} is not a NIfTI image") from fault
    if pixels.ndim != 3:
        raise AtlasWrong(reason=f"{wanted.file} has {pixels.ndim} axes instead of 3")
    return Image3(pixels, np.asarray(image.affine, np.float64))
