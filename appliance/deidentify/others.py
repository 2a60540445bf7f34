"""Documents, reports, captures and other objects that are no images never leave; a setting says whether the images may."""

import msgspec

from appliance.deidentify.engine import read_instance
from appliance.deidentify.passport import DeidRequest
from appliance.deidentify.pieces import Reader
from appliance.deidentify.profile import Profile
from appliance.deidentify.survey import is_image


def without_others(request: DeidRequest, profile: Profile) -> tuple[DeidRequest, int]:
    """The request for the images alone where the setting says so, and how many instances were left out.

    A request without any image stays as it is, and is refused by the engine. Raises `UnreadableInstance`.
    """
    if not profile.leaves_out_others:
        return request, 0
    reader = Reader()
    images = [file for file in request.files if is_image(read_instance(reader, file))]
    if not images or len(images) == len(request.files):
        return request, 0
    return msgspec.structs.replace(request, files=images), len(request.files) - len(images)
