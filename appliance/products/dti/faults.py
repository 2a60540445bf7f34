"""Why a tensor cannot be computed.

Failed
|- NoDiffusionFound      nothing in the study is a diffusion series that can be fitted
|- ConversionFailed      the images could not be converted
|- ConversionTimedOut
|- TooFewDirections
|- NoUnweightedVolume
|- NoBrainFound
`- FitFailed
"""

from appliance.errors import Failed


class NoDiffusionFound(Failed):
    """The study has no original diffusion series ({series} series were read, {derived} of them derived images).

    A series counts when its volumes carry b-values and gradient directions.
    """

    code = "no-diffusion-found"
    next_step = "Send the original diffusion series, not the maps that the scanner made of it."


class ConversionFailed(Failed):
    """The images could not be converted to NIfTI (the converter ended with {status} on {files} files)."""

    code = "conversion-failed"
    next_step = "Check that the study is complete; the QC report names missing and unreadable instances."


class ConversionTimedOut(Failed):
    """Converting the images took longer than {seconds} s and was ended."""

    code = "conversion-timed-out"
    next_step = "Retry when the machine is less busy; if it happens again, check the study for damaged instances."


class SeriesIncomplete(Failed):
    """The slices of diffusion series {series} do not make whole volumes; some are missing or damaged."""

    code = "series-incomplete"
    next_step = "Send the study again; the QC report names missing and unreadable instances."


class TooFewDirections(Failed):
    """The tensor needs {needed} gradient directions; the best series has {found}."""

    code = "too-few-directions"
    next_step = "Send a series with more directions; a trace-weighted (DWI) series cannot be used."


class NoUnweightedVolume(Failed):
    """The diffusion series has no volume with b=0."""

    code = "no-unweighted-volume"
    next_step = "Send the series together with its b=0 images."


class NoBrainFound(Failed):
    """The brain mask holds {millilitres} mL in {slices} slices, less than any brain."""

    code = "no-brain-found"
    next_step = "Check that the series shows a whole head; phantoms and partial slabs cannot be summarised."


class FitFailed(Failed):
    """The tensor fit gave no usable value in {percent} % of the brain."""

    code = "fit-failed"
    next_step = "Look at the images: the usual causes are wrong b-values in the header and clipped or empty volumes."
