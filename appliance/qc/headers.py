"""From the files of a study to what its headers say, one shallow read a file."""

from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.qc import pixel_data
from appliance.qc.bundle import part_of, read_bundles
from appliance.qc.charset import decoded
from appliance.qc.elements import Buffer, Elements, Header, Unreadable, Wanted, read_header
from appliance.qc.finding import SeriesFile
from appliance.qc.study import Frame, HeaderStudy, Image, Person, Series, Stated
from appliance.qc.vendors import canon, ge, philips, siemens, standard, uih
from appliance.qc.vendors.vendor import Vendor

VENDORS: tuple[Vendor, ...] = (siemens.VENDOR, ge.VENDOR, philips.VENDOR, canon.VENDOR, uih.VENDOR, standard.VENDOR)
"""Asked in this order by (0008,0070); the last takes every other manufacturer."""

CLASSIC_MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = frozenset({f"{CLASSIC_MR}.1", f"{CLASSIC_MR}.3", f"{CLASSIC_MR}.4"})
"""Enhanced MR, Enhanced MR Color and Legacy Converted Enhanced MR Image Storage (PS3.4 section B.5)."""

_CHARACTER_SET, _IMAGE_TYPE, _SOP_CLASS, _STUDY_DATE = 0x00080005, 0x00080008, 0x00080016, 0x00080020
_MANUFACTURER, _STUDY_DESCRIPTION, _SERIES_DESCRIPTION = 0x00080070, 0x00081030, 0x0008103E
_BIRTH_DATE, _SEX, _AGE = 0x00100030, 0x00100040, 0x00101010
_THICKNESS, _TR, _TE, _FIELD, _SPACING, _FLIP = 0x00180050, 0x00180080, 0x00180081, 0x00180087, 0x00180088, 0x00181314
_TIMING, _ECHO, _EFFECTIVE_TE, _MEASURES = 0x00189112, 0x00189114, 0x00189082, 0x00289110
_SERIES_NUMBER, _NUMBER, _POSITION, _ORIENTATION = 0x00200011, 0x00200013, 0x00200032, 0x00200037
_FRAMES, _ROWS, _COLUMNS, _PIXEL_SPACING, _LOSSY = 0x00280008, 0x00280010, 0x00280011, 0x00280030, 0x00282110
_SAMPLES, _BITS, _SCANNING_SEQUENCE, _COMMENTS = 0x00280002, 0x00280100, 0x00180020, 0x00204000
_TEMPORAL_POSITIONS, _IMAGES_IN_ACQUISITION, _NUMBER_OF_SLICES = 0x00200105, 0x00201002, 0x00540081

_GROUP_PARAMETERS = {
    _TIMING: Wanted({_TR: "DS", _FLIP: "DS"}),
    _ECHO: Wanted({_EFFECTIVE_TE: "FD"}),
    _MEASURES: Wanted({_THICKNESS: "DS", _SPACING: "DS", _PIXEL_SPACING: "DS"}),
}
_GROUPS = Wanted({**standard.FUNCTIONAL_GROUPS.public, **_GROUP_PARAMETERS})
_BY_VR: dict[str, tuple[int, ...]] = {
    "AS": (_AGE,),
    "CS": (_CHARACTER_SET, _IMAGE_TYPE, _SEX, _SCANNING_SEQUENCE, standard.DIRECTIONALITY, _LOSSY),
    "DA": (_STUDY_DATE, _BIRTH_DATE),
    "DS": (_THICKNESS, _TR, _TE, _FIELD, _SPACING, _FLIP, _POSITION, _ORIENTATION, _PIXEL_SPACING),
    "FD": (standard.B_VALUE, standard.DIRECTION),
    "IS": (_SERIES_NUMBER, _NUMBER, _TEMPORAL_POSITIONS, _IMAGES_IN_ACQUISITION, _FRAMES),
    "LO": (_MANUFACTURER, _STUDY_DESCRIPTION, _SERIES_DESCRIPTION),
    "LT": (_COMMENTS,),
    "UI": (_SOP_CLASS,),
    "US": (_SAMPLES, _ROWS, _COLUMNS, _BITS, _NUMBER_OF_SLICES),
}
WANTED = Wanted(
    {tag: vr for vr, tags in _BY_VR.items() for tag in tags} | {standard.SHARED: _GROUPS, standard.PER_FRAME: _GROUPS},
    {block: rules for vendor in VENDORS for block, rules in vendor.private.items()},
)


def read_study(files: Sequence[SeriesFile], progress: Callable[[float], None]) -> HeaderStudy:
    """Reads every file once; `progress` gets the share done. Files that cannot be read become entries, never errors."""
    series: dict[str, _Gathered] = {}
    persons: set[Person] = set()
    for done, file in enumerate(files):
        if part_of(file.path):
            continue
        gathered = series.setdefault(file.series, _Gathered(file.series))
        try:
            header, body = read_header(Path(file.path), WANTED)
            persons |= gathered.add(file.instance, header, body)
        except Unreadable as fault:
            gathered.unreadable.append(str(fault))
        if done % 50 == 49:
            progress((done + 1) / len(files))
    return HeaderStudy(
        series=tuple(one.series() for one in series.values()),
        persons=frozenset(persons),
        bundles=read_bundles(files),
    )


def vendor_of(elements: Elements) -> Vendor:
    """Whose private elements to believe."""
    manufacturer = elements.text(_MANUFACTURER).upper()
    return next(vendor for vendor in VENDORS if manufacturer.startswith(vendor.manufacturers))


class _Gathered:
    """One series while its files are read."""

    def __init__(self, series: str) -> None:
        self._id = series
        self._images: list[Image] = []
        self._others = 0
        self._number: int | None = None
        self._description = ""
        self._study_descriptions: set[str] = set()
        self._stated: Stated | None = None
        self._parameters: dict[str, set[float]] = {}
        self.unreadable: list[str] = []

    def add(self, instance: str, header: Header, body: Buffer) -> set[Person]:
        """Takes one readable file and says whom it shows; raises `Unreadable` for one that does not say what it is."""
        elements = header.elements
        sop_class = elements.text(_SOP_CLASS)
        if not sop_class:
            raise Unreadable("the header does not say what kind of object it is")
        self._number = self._number if self._number is not None else _whole(elements, _SERIES_NUMBER)
        if sop_class != CLASSIC_MR and sop_class not in ENHANCED_MR:
            self._others += 1
            return set()
        vendor = vendor_of(elements)
        charset = elements.text(_CHARACTER_SET)
        frames = standard.enhanced_frames(elements) if sop_class in ENHANCED_MR else _classic_frames(vendor, elements)
        wrong = pixel_data.fault(header, body)
        if not wrong and sop_class in ENHANCED_MR and len(frames) != (_whole(elements, _FRAMES) or 1):
            wrong = "its functional groups do not match its number of frames"
        self._images.append(
            Image(
                instance=instance,
                number=_whole(elements, _NUMBER),
                rows=_whole(elements, _ROWS) or 0,
                columns=_whole(elements, _COLUMNS) or 0,
                transfer_syntax=header.transfer_syntax,
                lossy_history=elements.text(_LOSSY) not in ("", "00"),
                irreversible=pixel_data.irreversible(header, body),
                frames=frames,
                fault=wrong,
            )
        )
        self._description = self._description or decoded(elements.encoded(_SERIES_DESCRIPTION), charset)
        self._study_descriptions.add(decoded(elements.encoded(_STUDY_DESCRIPTION), charset))
        if self._stated is None:
            self._stated = vendor.stated(elements)
        if any(not frame.derived for frame in frames):
            self._take_parameters(elements)
        return {_person(elements)}

    def series(self) -> Series:
        """The finished series."""
        return Series(
            id=self._id,
            number=self._number,
            images=tuple(self._images),
            others=self._others,
            unreadable=tuple(self.unreadable),
            description=self._description,
            study_descriptions=frozenset(self._study_descriptions),
            stated=self._stated or Stated(),
            parameters={name: tuple(sorted(values)) for name, values in self._parameters.items()},
        )

    def _take_parameters(self, elements: Elements) -> None:
        shared, frame = elements.first(standard.SHARED), elements.first(standard.PER_FRAME)
        timing, echo, measures = (
            shared.first(group) if shared.items(group) else frame.first(group) for group in (_TIMING, _ECHO, _MEASURES)
        )
        field = elements.number(_FIELD)
        places = {
            "MagneticFieldStrength": (field / 10_000 if field and field > 100 else field,),  # older GE writes gauss
            "RepetitionTime": (elements.number(_TR) or timing.number(_TR),),
            "EchoTime": (elements.number(_TE) or echo.number(_EFFECTIVE_TE),),
            "FlipAngle": (elements.number(_FLIP) or timing.number(_FLIP),),
            "SliceThickness": (elements.number(_THICKNESS) or measures.number(_THICKNESS),),
            "SpacingBetweenSlices": (elements.number(_SPACING) or measures.number(_SPACING),),
            "PixelSpacing": elements.numbers(_PIXEL_SPACING) or measures.numbers(_PIXEL_SPACING),
        }
        for name, values in places.items():
            self._parameters.setdefault(name, set()).update(round(one, 4) for one in values if one is not None)


def _classic_frames(vendor: Vendor, elements: Elements) -> tuple[Frame, ...]:
    """One frame, or those of a file that holds a whole volume."""
    derived = standard.is_derived(elements.words(_IMAGE_TYPE))
    position = standard.along_normal(elements.numbers(_POSITION), elements.numbers(_ORIENTATION))
    frames = vendor.frames(elements) or (Frame(vendor.gradient(elements), position),)
    if not derived:
        return frames
    return tuple(Frame(one.gradient, one.position, one.slices, True) for one in frames)


def _person(elements: Elements) -> Person:
    return Person(
        age=elements.text(_AGE),
        sex=elements.text(_SEX),
        birth_date=elements.text(_BIRTH_DATE),
        study_date=elements.text(_STUDY_DATE),
    )


def _whole(elements: Elements, key: int) -> int | None:
    number = elements.number(key)
    return int(number) if number is not None and abs(number) < 1e12 else None
