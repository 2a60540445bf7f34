"""Ages as DICOM writes them (PS3.5 section 6.2, VR AS) and as people do.

Taken are `45`, `45Y`, `045Y` and `90+`, and months, weeks or days while they say less than two years. What is taken is
written as `045Y`, `018M`, `010W`, `005D`; ages over 89 become `090Y`.
"""

import re
from datetime import date

_WRITTEN = re.compile(r"([0-9]{1,3})([YMWD]?)")
_NINETY_OR_MORE = re.compile(r"0?90Y?\+|0?90\+Y")
_UNDER_TWO_YEARS = {"M": 23, "W": 104, "D": 730}
_IN_A_YEAR = {"Y": 1.0, "M": 12.0, "W": 52.1775, "D": 365.2425}
_OLDEST, _CAP = 150, 90


def normalised(text: str) -> str | None:
    """An age as `045Y`; None for anything else, zero included, which stands in many headers for 'unknown'."""
    text = text.strip()
    if _NINETY_OR_MORE.fullmatch(text):
        return f"{_CAP:03}Y"
    match = _WRITTEN.fullmatch(text)
    if match is None:
        return None
    number, unit = int(match[1]), match[2] or "Y"
    if number == 0 or number > _UNDER_TWO_YEARS.get(unit, _OLDEST):
        return None
    return f"{min(number, _CAP):03}Y" if unit == "Y" else f"{number:03}{unit}"


def between(birth_date: str, study_date: str) -> str | None:
    """The age on the day of the study from two dates (VR DA); None where one is missing, impossible or the wrong way round."""
    born, studied = _date(birth_date), _date(study_date)
    if born is None or studied is None or studied <= born:
        return None
    months = (studied.year - born.year) * 12 + studied.month - born.month - (studied.day < born.day)
    if months >= 24:
        return normalised(f"{months // 12}Y")
    return normalised(f"{months}M" if months else f"{(studied - born).days}D")


def in_years(age: str) -> float:
    """A normalised age in years."""
    return int(age[:3]) / _IN_A_YEAR[age[3]]


def in_words(age: str) -> str:
    """`45 years`, `90 years or more`."""
    unit = {"Y": "year", "M": "month", "W": "week", "D": "day"}[age[3]]
    number = int(age[:3])
    if number == _CAP and unit == "year":
        return "90 years or more"
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _date(text: str) -> date | None:
    if re.fullmatch(r"[0-9]{8}", text) is None:
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None
