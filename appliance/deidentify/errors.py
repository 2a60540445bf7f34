"""What ends or stops a de-identification; see `appliance.errors` for the tree."""

from appliance import errors


class UnreadableInstance(errors.Failed):
    """Instance {instance} cannot be de-identified: {reason}.

    One such instance fails the whole study.
    """

    code = "deid-unreadable"
    next_step = "Send the study again from its source; if it fails again, the file is damaged there."


class NotAnImageInput(errors.Failed):
    """Instance {instance} is no image that a product reads (SOP class {sop_class}), so it does not leave."""

    code = "deid-not-an-image"
    next_step = "Choose series of cross-sectional images; reports, documents and screen captures stay on site."


class BadRequest(errors.Failed):
    """The list of instances cannot be de-identified: {reason}."""

    code = "deid-request"


class BurnedInText(errors.NeedsPerson):
    """Instance {instance} says of itself that text is burned into its pixels."""

    code = "deid-burned-in"
    next_step = "Look at the image; send the series without annotation, or cancel the order."


class DrawnText(errors.NeedsPerson):
    """Text seems to be drawn into the pixels of {instances} instances, the first is {instance}."""

    code = "deid-drawn-text"
    next_step = "Look at the images; send the series without text, or let Settings mask it, and run the order again."


class NotMaskable(errors.NeedsPerson):
    """Text is drawn into the pixels of instance {instance}, and they are compressed: only uncompressed ones are masked."""

    code = "deid-not-maskable"
    next_step = "Send the series uncompressed, or without text."


class NoReader(errors.Misconfigured):
    """The program that looks for drawn text (tesseract) is missing or failed."""

    code = "deid-no-ocr"
    next_step = "Install the Debian packages tesseract-ocr and tesseract-ocr-eng, or switch off Drawn text."


class NotClean(errors.NeedsPerson):
    """The verifier found {residues} residues of identity, so nothing leaves."""

    code = "deid-residue"
    next_step = "Read the findings by tag, correct the source or the profile, and run the order again."


class NotAsVerified(errors.NeedsPerson):
    """The de-identified files are not those that the verifier passed: {reason}."""

    code = "deid-changed"
    next_step = "Run the order again; if this repeats, look for what else writes to the data folder."


class NothingToPreview(errors.Conflict):
    """The study has no instance to look at."""

    code = "deid-nothing-to-preview"
    next_step = "Wait until its images are here."


class ProofFailed(errors.Failed):
    """This could not be made: {reason}"""

    code = "deid-proof-failed"
    next_step = "Look at the study's files; send it again from its source if they are damaged."
