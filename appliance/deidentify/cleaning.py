"""What is done about text that is drawn into the pixels, as the setting has it: nothing, block the order, or mask it."""

from collections.abc import Callable
from pathlib import Path

from appliance.deidentify import drawn
from appliance.deidentify.engine import output_path, read_instance
from appliance.deidentify.errors import BurnedInText, DrawnText
from appliance.deidentify.mask import blacken
from appliance.deidentify.passport import DeidRequest, MaskedRegion
from appliance.deidentify.pieces import Reader
from appliance.deidentify.profile import Profile
from appliance.deidentify.survey import declares_text

Progress = Callable[[float, str], None]
_BURNED_IN = 0x00280301


def drawn_regions(request: DeidRequest, profile: Profile, scratch: Path, progress: Progress) -> list[MaskedRegion]:
    """The regions to mask; raises `DrawnText` where text blocks, `BurnedInText` where it is declared and cannot be found."""
    if profile.drawn_text == "declared":
        return []
    found = drawn.find([(file, file.path) for file in request.files], scratch, progress)
    instances = {one.instance: True for one in found}
    if profile.drawn_text == "block":
        if found:
            raise DrawnText(instance=found[0].instance, instances=len(instances))
        return []
    reader = Reader()
    for file in request.files:
        if file.instance not in instances and declares_text(read_instance(reader, file).value(_BURNED_IN)):
            raise BurnedInText(instance=file.instance)
    return found


def mask(request: DeidRequest, regions: list[MaskedRegion], draft: Path, progress: Progress) -> None:
    """Blackens the regions in the draft and reads those files again; raises `DrawnText` when text is left."""
    by_instance: dict[str, list[MaskedRegion]] = {}
    for region in regions:
        by_instance.setdefault(region.instance, []).append(region)
    changed = [file for file in request.files if file.instance in by_instance]
    for file in changed:
        blacken(draft / output_path(file), by_instance[file.instance])
    if not changed:
        return
    again = [(file, str(draft / output_path(file))) for file in changed]
    left = drawn.find(again, draft.with_name(draft.name + ".ocr"), progress)
    if left:
        raise DrawnText(instance=left[0].instance, instances=len({one.instance for one in left}))
