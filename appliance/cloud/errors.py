"""How asking the cloud for something can end, by what happens to the order next (faults and threats, row 21)."""

from appliance.errors import Failed, NeedsPerson, Retry, Waits


class CloudAway(Waits):
    """The cloud cannot be reached: {why}."""

    code = "cloud-away"
    next_step = "Nothing is lost and the order keeps its place; it goes on by itself when the cloud answers."


class CloudBusy(Waits):
    """The cloud asks to be left alone for {seconds} s."""

    code = "cloud-busy"
    next_step = "Nothing is lost and the order keeps its place; it goes on by itself."


class CloudRefusesKey(Waits):
    """The cloud does not accept the API key ({status})."""

    code = "cloud-refuses-key"
    next_step = "Enter the key again under Settings, Cloud, and test it; orders go on by themselves."


class CloudWorks(Waits):
    """The cloud works on it: {stands}."""

    code = "cloud-works"
    next_step = "Nothing to do; the cloud is asked again by itself."


class OutsideHours(Waits):
    """Uploads are made between {begin}:00 and {end}:00 only."""

    code = "outside-upload-hours"
    next_step = "Wait, or change the hours under Settings, Cloud."


class CloudUnreadable(Retry):
    """The cloud's answer to {call} is not of the protocol's form."""

    code = "cloud-unreadable"
    next_step = "Test the connection under Settings, Cloud; check the API URL and the protocol."


class PartDamaged(Retry):
    """A part came to the cloud with another content than it left with."""

    code = "cloud-part-damaged"
    next_step = "It is sent again; if that goes on, look for what changes uploads on the way."


class SessionOver(Retry):
    """The cloud does not know this connection any more."""

    code = "cloud-session-over"
    next_step = "A new connection is made by itself."


class QuotaUsed(NeedsPerson):
    """The cloud runs no more orders for this key: {told}"""

    code = "cloud-quota"
    next_step = "Have the key's quota raised, then retry."


class CloudRefuses(Failed):
    """The cloud refuses {call} (HTTP {status}): {told}"""

    code = "cloud-refuses"
    next_step = "Read the cloud's own words; correct what they name, then retry."


class CloudFailed(Failed):
    """The cloud could not analyse this: {told}"""

    code = "cloud-failed"
    next_step = "Read the cloud's own words; correct what they name, then retry."


class NoImagesForCloud(Failed):
    """The cloud's protocol takes DICOM images, and this study has none that may leave."""

    code = "cloud-takes-dicom"
    next_step = "Send the study as DICOM, or process it here."
