"""The proof once more: signature, files and the whole verifier, on a study that was de-identified earlier."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.deidentify.errors import NotAsVerified, NotClean
from appliance.deidentify.nifti import is_bundle, output_path
from appliance.deidentify.nifti_checks import verify_bundle
from appliance.deidentify.passport import DeidRequest, Passport, Residue
from appliance.deidentify.profile import VERSION, Profile
from appliance.deidentify.signature import is_genuine
from appliance.deidentify.verifier import release, verify


class RecheckRequest(DeidRequest, kw_only=True, frozen=True):
    """The request of the run, with the passport that it gave; `section` is the passport's own."""

    passport: Passport
    public_key: str
    """Of this appliance, hexadecimal."""


class Recheck(msgspec.Struct, kw_only=True, frozen=True):
    """What is still true of a passport."""

    genuine: bool
    """Signed by this appliance and not changed since."""
    unchanged: bool
    """The folder holds exactly the passport's files."""
    remark: str
    """Why it is not unchanged, or what could not be asked."""
    residues: list[Residue]
    """What the verifier finds today."""

    @property
    def good(self) -> bool:
        """Whether the study may still leave."""
        return self.genuine and self.unchanged and not self.residues


def run(request: RecheckRequest, progress: Callable[[float, str], None]) -> Recheck:
    """The stage `deidentify-recheck`; reads the originals and the de-identified files, writes nothing."""
    passport, folder = request.passport, Path(request.out_folder)
    remark = ""
    try:
        release(folder, passport)
    except (NotAsVerified, NotClean) as error:
        remark = error.what
    unchanged = not remark
    if passport.profile_version != VERSION:
        remark = remark or f"The profile was version {passport.profile_version}; the verifier of today knows {VERSION}."
    residues: list[Residue] = []
    if folder.is_dir() and is_bundle(request.files):
        residues = verify_bundle(request, folder, {file.instance: output_path(file) for file in request.files})[1]
    elif folder.is_dir():
        residues = verify(request, Profile.of(request.section), folder, progress, passport.masked).residues
    return Recheck(genuine=is_genuine(passport, request.public_key), unchanged=unchanged, remark=remark, residues=residues)
