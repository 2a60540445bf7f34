"""Rebuilds Siemens CSA headers (0029,xx10 and 0029,xx20) with listed numbers alone.

The original is a dump of memory: between and behind its values stand remains of other values, UIDs, paths and dates. So it is
not cleaned but made anew: format SV10, a list of named elements, each with items padded to four bytes.
"""

import re
from struct import error, pack, unpack_from

from appliance.deidentify.private_tags import CSA_IMAGE

_MAGIC = b"SV10\x04\x03\x02\x01"
_MARK = 77
_LISTED = """
    B_matrix B_value BandwidthPerPixelPhaseEncode Columns DiffusionDirectionality DiffusionGradientDirection EchoTime FlipAngle
    ImageOrientationPatient ImagePositionPatient ImaAbsTablePosition ImaPATModeText ImaRelTablePosition MosaicRefAcqTimes
    MultistepIndex NonPlanarImage NumberOfImagesInMosaic NumberOfPhaseEncodingSteps PhaseEncodingDirection
    PhaseEncodingDirectionPositive PixelBandwidth PixelSpacing ProtocolSliceNumber RealDwellTime RepetitionTime Rows
    SliceLocation SliceMeasurementDuration SliceNormalVector SlicePosition_PCS SliceResolution SliceThickness
    SpacingBetweenSlices TimeAfterStart
"""
_IMAGE_NAMES = frozenset(_LISTED.split())
_CODE_NAMES = frozenset({"DiffusionDirectionality", "ImaPATModeText", "PhaseEncodingDirection"})
_CODES = re.compile(r"^(NONE|DIRECTIONAL|ISOTROPIC|BMATRIX|ROW|COL|p\d{1,2})$")
_NUMBER = re.compile(r"^[-+]?\d{1,12}(\.\d*)?([eE][-+]?\d{1,3})?$")
_PROTOCOL_KEYS = re.compile(
    r"^(sKSpace|sSliceArray|sFastImaging|sPat|sDiffusion|sSliceAcceleration|sAsl|sRSatArray|sPrepPulses)\.[\w.\[\]]{1,80}$"
    r"|^(alTE|alTR|alTI|adFlipAngleDegree|sGRADSPEC\.alShimCurrent|sAdjData\.[a-z]\w+)\[\d{1,3}\]$"
    r"|^(lContrasts|lInvContrasts|lDelayTimeInTR|lAverages|lRepetitions|ucReadOutMode|ucReadoutMode|ulVersion)$"
    r"|^sTXSPEC\.asNucleusInfo\[0\]\.flReferenceAmplitude$|^sGRADSPEC\.(asGPAData\[0\]\.)?lOffset[XYZ]$|^sGRADSPEC\.ucMode$"
)
_PROTOCOL_VALUE = re.compile(r"^(0x[0-9a-fA-F]{1,8}|-?\d{1,10}(\.\d{1,15})?([eE][-+]?\d{1,3})?)$")
_DATE_LIKE = re.compile(r"^(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$")


def rebuilt(value: bytes, form: str) -> bytes:
    """A CSA header with the listed numbers of `value`; empty when it is no SV10 header."""
    try:
        elements = _elements(value)
    except (error, ValueError):
        return b""
    if form == CSA_IMAGE:
        listed = [(name, vm, vr, _listed(name, items)) for name, vm, vr, items in elements]
    else:
        listed = [(name, vm, vr, _protocol(name, items)) for name, vm, vr, items in elements]
    kept = [entry for entry in listed if entry[3]]
    return _written(kept) if kept else b""


def _elements(value: bytes) -> list[tuple[str, int, bytes, list[bytes]]]:
    if not value.startswith(_MAGIC):
        raise ValueError
    count, _ = unpack_from("<LL", value, 8)
    position = 16
    found: list[tuple[str, int, bytes, list[bytes]]] = []
    if count > 512:
        raise ValueError
    for _ in range(count):
        name, vm, vr, _, items, _ = unpack_from("<64sl4slll", value, position)
        position += 84
        values: list[bytes] = []
        for _ in range(items):
            (length,) = unpack_from("<l", value, position + 4)
            position += 16
            if length < 0 or position + length > len(value):
                raise ValueError
            values.append(value[position : position + length].split(b"\0")[0])
            position += (length + 3) // 4 * 4
        found.append((name.split(b"\0")[0].decode("ascii", "replace"), vm, vr[:2], values))
    return found


def _listed(name: str, items: list[bytes]) -> list[bytes]:
    if name not in _IMAGE_NAMES:
        return []
    pattern = _CODES if name in _CODE_NAMES else _NUMBER
    texts = [item.decode("latin-1").strip() for item in items]
    return [text.encode() if pattern.match(text) else b"" for text in texts]


def _protocol(name: str, items: list[bytes]) -> list[bytes]:
    if name not in ("MrPhoenixProtocol", "MrProtocol") or not items:
        return []
    text = items[0].decode("latin-1")
    begin, end = text.find("### ASCCONV BEGIN"), text.find("### ASCCONV END")
    if begin < 0 or end < begin:
        return []
    lines = ["### ASCCONV BEGIN ###"]
    for line in text[begin:end].split("\n")[1:]:
        key, _, number = (part.strip() for part in line.partition("="))
        if _PROTOCOL_KEYS.match(key) and _PROTOCOL_VALUE.match(number) and not _DATE_LIKE.match(number):
            lines.append(f"{key}\t = \t{number}")
    return ["\n".join([*lines, "### ASCCONV END ###", ""]).encode()]


def _written(elements: list[tuple[str, int, bytes, list[bytes]]]) -> bytes:
    parts = [_MAGIC, pack("<LL", len(elements), _MARK)]
    for number, (name, vm, vr, items) in enumerate(elements):
        parts.append(pack("<64sl4slll", name.encode(), vm, vr, number, len(items), _MARK))
        for item in items:
            content = item + b"\0" if item else b""
            length = len(content)
            parts += [pack("<llll", length, length, _MARK, length), content, bytes(-length % 4)]
    return b"".join(parts)
