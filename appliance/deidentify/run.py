"""The stage `deidentify`: engine, then verifier; a folder with its passport, or nothing."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.deidentify.cleaning import drawn_regions, mask
from appliance.deidentify.engine import Written, check_request, deidentify
from appliance.deidentify.nifti import deidentify_bundle, is_bundle, output_path
from appliance.deidentify.nifti_checks import verify_bundle
from appliance.deidentify.others import without_others
from appliance.deidentify.passport import DeidAnswer, DeidRequest, MaskedRegion, Passport
from appliance.deidentify.profile import VERSION, Profile
from appliance.deidentify.signature import signed
from appliance.deidentify.verifier import Verdict, verify
from appliance.storage import publish_folder, remove_folder, write_durable

Progress = Callable[[float, str], None]


def passport_path(out_folder: Path) -> Path:
    """Where the passport of a de-identified folder lies: beside it."""
    return out_folder.with_name(out_folder.name + ".passport.json")


def run(request: DeidRequest, progress: Progress) -> DeidAnswer:
    """De-identifies a study into `request.out_folder` and proves it.

    With residues the answer's passport says so and the folder does not exist. Raises the room's errors, and then neither
    folder nor draft nor passport is left.
    """
    final = Path(request.out_folder)
    draft = final.with_name(final.name + ".part")
    remove_folder(draft)
    remove_folder(draft.with_name(draft.name + ".ocr"))
    profile = Profile.of(request.section)
    finished = False
    try:
        draft.mkdir(mode=0o700, parents=True)
        left_out = 0
        if not is_bundle(request.files):
            request, left_out = without_others(request, profile)
        written, verdict, masked = _worked(request, profile, draft, progress)
        if left_out:
            verdict.notes.append(f"{left_out} instances that are no images were left out.")
        passport = _passport(request, profile, written, verdict, masked)
        # First the passport, then the folder: a folder without a passport cannot be released, a passport alone is harmless.
        write_durable(passport_path(final), msgspec.json.format(msgspec.json.encode(passport), indent=1))
        if passport.clean:
            publish_folder(draft, final)
        finished = True
        return DeidAnswer(passport=passport, linking=written.linking, wanted=verdict.wanted)
    finally:
        remove_folder(draft)
        if not finished:
            passport_path(final).unlink(missing_ok=True)
            remove_folder(final)


def _worked(
    request: DeidRequest, profile: Profile, draft: Path, progress: Progress
) -> tuple[Written, Verdict, list[MaskedRegion]]:
    """Engine and verifier of what the study came as."""
    if is_bundle(request.files):
        return (*_bundle(request, profile, draft, progress), [])
    masked = drawn_regions(request, profile, draft.with_name(draft.name + ".ocr"), progress)
    written = deidentify(request, profile, draft, progress)
    mask(request, masked, draft, progress)
    return written, verify(request, profile, draft, progress, masked), masked


def _passport(
    request: DeidRequest, profile: Profile, written: Written, verdict: Verdict, masked: list[MaskedRegion]
) -> Passport:
    notes = list(verdict.notes)
    if written.over_89:
        notes.append("The patient is over 89: age 090Y, no birth date.")
    passport = Passport(
        order=request.order,
        profile=profile.name,
        profile_version=VERSION,
        instances=len(request.files),
        files=sorted(verdict.files, key=lambda file: file.path),
        residues=verdict.residues,
        actions=written.actions,
        notes=notes,
        date_offset_applied=profile.shift_dates,
        settings=request.section,
        masked=masked,
        source=request.source or msgspec.UNSET,
    )
    return signed(passport, bytes.fromhex(request.signing_seed)) if request.signing_seed else passport


def _bundle(request: DeidRequest, profile: Profile, draft: Path, progress: Progress) -> tuple[Written, Verdict]:
    check_request(request, profile)
    actions = deidentify_bundle(request, draft, progress)
    names = {file.instance: output_path(file) for file in request.files}
    files, residues, wanted = verify_bundle(request, draft, names)
    note = (
        "The study came as NIfTI: it has no dates or UIDs; header text, extensions and keys that are not on the list are gone."
    )
    return Written({}, actions, over_89=False), Verdict(files, residues, [note], wanted)
