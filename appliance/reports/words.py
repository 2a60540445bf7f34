"""The sentences and numbers that every format shares, so that no format says more or less than another."""

from appliance.reports.content import PageIdentity, ProductSection, QcRow, ReportContent, Row
from appliance.states import ORDER_FACTS, OrderState

NOTICE = "Not for clinical use"
NOTICE_LONG = (
    "Not for clinical use. Research software without marketing authorisation; no decision about a patient may rest on it."
)

LIMITS = (
    "It makes no diagnosis and names no disease.",
    "It does not look for lesions, bleeding or other incidental findings; the images still need to be read.",
    "Its numbers hold for this scanner and protocol; another scanner, protocol or software version gives other numbers.",
)
"""What a report does not say."""

FAILURE_LIMITS = (
    "It says nothing about the patient: the images were not analysed to the end.",
    "The images themselves are untouched and stay where they were sent from.",
)

VERDICT_WORDS = {
    "passed": "passed",
    "warning": "passed with warnings",
    "failed": "FAILED",
    "bypassed": "BYPASSED by a person",
}
"""The verdict of all checks together."""

CHECK_WORDS = {
    "passed": "passed",
    "warning": "warning",
    "failed": "FAILED",
    "bypassed": "BYPASSED",
    "not-applicable": "does not apply",
}
"""The verdict of one check."""

MARKS = {"passed": "✔", "warning": "▲", "failed": "✖", "bypassed": "➔", "not-applicable": "–"}
"""One character before a verdict's word; both are readable without colour."""

ORIGIN_WORDS = {
    "dicom": "from the DICOM header",
    "form": "given on a form",
    "sidecar": "given in a sidecar file",
    "": "origin unknown",
}

NORMAL_Z = 2.0
"""The normal range is the mean of the reference group and two standard deviations either way."""
KEY_NUMBERS = 4
"""How many of a product's first rows stand on the first page; products put the most telling rows first."""

_AGE_UNITS = {"D": "day", "W": "week", "M": "month", "Y": "year"}

_UNITS = {
    "10^-3 mm2/s": "10⁻³ mm²/s",
    "mm2/s": "mm²/s",
    "mm^2/s": "mm²/s",
    "mm3": "mm³",
    "mm^3": "mm³",
    "s/mm2": "s/mm²",
    "cm3": "cm³",
    "um2/ms": "µm²/ms",
    "1": "",
}


_TITLES = {"failure": "Brain MRI failure report", "test": "Test of the connection"}


def title(content: ReportContent) -> str:
    """The document's title, without order or patient."""
    return _TITLES.get(content.kind, "Brain MRI analysis report")


def headline(content: ReportContent) -> str:
    """One sentence: what was analysed, and how it ended."""
    if content.kind == "test":
        return "A test of the connection: no patient, no result."
    if content.kind == "failure":
        return "The study was not analysed: no result."
    done = [one.title for one in content.sections if not one.failure]
    lost = [one.title for one in content.sections if one.failure]
    said = f"{_listed(done)}: analysed." if done else "Nothing could be analysed."
    return f"{said} {_listed(lost)}: FAILED, no result." if lost else said


def check_word(verdict: str) -> str:
    """One check's verdict in words."""
    return CHECK_WORDS.get(verdict, verdict)


def mark(verdict: str) -> str:
    """A verdict's character."""
    return MARKS.get(verdict, "·")


def qc_line(content: ReportContent) -> str:
    """The verdict of quality control with its counts."""
    if not content.qc_verdict:
        return "Quality control was not reached"
    counts = [
        f"{number} {word}"
        for word, number in (
            ("passed", _count(content.qc_rows, "passed")),
            ("with warning", _count(content.qc_rows, "warning")),
            ("failed", _count(content.qc_rows, "failed")),
            ("bypassed", _count(content.qc_rows, "bypassed")),
            ("not applicable", _count(content.qc_rows, "not-applicable")),
        )
        if number
    ]
    tail = f" ({len(content.qc_rows)} checks: {', '.join(counts)})" if counts else ""
    return f"Quality control {VERDICT_WORDS.get(content.qc_verdict, content.qc_verdict)}{tail}"


def age_and_sex(content: ReportContent) -> list[tuple[str, str, str]]:
    """Label, value and origin of age and sex."""
    return [
        ("Age", age(content.age) or "not known", _origin(content.age, content.age_origin)),
        ("Sex", content.sex or "not known", _origin(content.sex, content.sex_origin)),
    ]


def age(text: str) -> str:
    """A DICOM age (PS3.5 section 6.2, VR AS) in words: `034Y` is 34 years; anything else as it is."""
    if len(text) == 4 and text[:3].isdigit() and text[3] in _AGE_UNITS:
        count = int(text[:3])
        return f"{count} {_AGE_UNITS[text[3]]}{'' if count == 1 else 's'}"
    return f"{text} years" if text.isdigit() else text


def stage(name: str) -> str:
    """The state in which an order failed, in the console's words."""
    return ORDER_FACTS[OrderState(name)].word if name in OrderState.__members__ else name


def why(content: ReportContent) -> list[str]:
    """Why an order ended without a result: the step, and each check that failed."""
    if content.failure is None:
        return []
    ended = f"It ended in the step “{stage(content.failure.stage)}”; the code for support is {content.failure.code}."
    failed = [row for row in content.qc_rows if row.verdict == "failed"]
    return [ended, *(f"{row.title}: found {row.found}, expected {row.expected}." for row in failed)]


def to_do(content: ReportContent) -> list[str]:
    """What helps, each advice once."""
    if content.failure is None:
        return []
    actions = [row.action for row in content.qc_rows if row.verdict == "failed" and row.action]
    return list(dict.fromkeys([content.failure.advice, *actions]))


def limits(content: ReportContent) -> tuple[str, ...]:
    """What this report does not say."""
    if content.kind == "failure":
        return FAILURE_LIMITS
    ranges = any(row.name.startswith("z_") for section in content.sections for row in section.rows)
    said: tuple[str, ...] = () if ranges else ("It compares with no normal range: none is installed.",)
    if content.earlier:
        said += ("Whether a change since an earlier study is more than the spread of the measurement, it does not say.",)
    else:
        said += ("It compares with no earlier study: the appliance knows none of this patient.",)
    return (*LIMITS[:1], *said, *LIMITS[1:])


TREND_COLUMNS = 4
"""Earlier studies that a table has room for; all are in the JSON."""


def before(days: int) -> str:
    """How long before this study."""
    if days == 0:
        return "same day"
    return f"{days} day{'' if days == 1 else 's'} before"


def trend(content: ReportContent, section: ProductSection) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a section's comparison with earlier studies; no rows where there is none.

    An earlier value of another version of the product carries that version.
    """
    past = [one for one in content.earlier if one.product == section.product][:TREND_COLUMNS]
    names = {row.name for one in past for row in one.rows}
    head = ["Measure", "This study", *(before(one.days_before) for one in past)]
    rows = []
    for row in section.rows:
        if row.name not in names:
            continue
        cells = [next((measured(was) for was in one.rows if was.name == row.name), "–") for one in past]
        rows.append([row.label, measured(row), *cells])
    versions = [one.product_version for one in past]
    if rows and any(one != section.version for one in versions):
        rows.append(["Version of the product", section.version, *versions])
    return head, rows


def unit(text: str) -> str:
    """A unit as it is printed."""
    return _UNITS.get(text, text)


def number(value: float | None, of_unit: str = "") -> str:
    """A value to four significant digits, diffusivities in 10⁻³ mm²/s; one that there is not reads `not computable`."""
    if value is None:
        return "not computable"
    if _is_small_diffusivity(value, of_unit):
        return f"{value * 1000:.3f} × 10⁻³"
    if float(value).is_integer() and abs(value) < 1e9:
        return whole(int(value))
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        return f"{mantissa} × 10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
    return f"{value:.4g}" if abs(value) < 1000 else whole(round(value))


def whole(value: int) -> str:
    """A whole number with thin groups of three digits (SI brochure, section 5.4.4)."""
    return f"{value:,}".replace(",", "\u202f")


def measured(row: Row) -> str:
    """Value and unit together."""
    return f"{number(row.value, row.unit)} {unit(row.unit)}".rstrip()


def key_rows(section: ProductSection) -> list[Row]:
    """The rows that stand on the first page."""
    return section.rows[:KEY_NUMBERS]


def beside(content: ReportContent, section: ProductSection, row: Row) -> list[str]:
    """What stands with a key number: its place in the normal range where one is installed, its change since the last study."""
    said = []
    score = next((one for one in section.rows if one.name == f"z_{row.name}"), None)
    if score is not None and score.value is not None:
        place = "within" if abs(score.value) <= NORMAL_Z else "above" if score.value > 0 else "below"
        said.append(f"{place} the normal range (z\u00a0=\u00a0{score.value:+.1f})")
    was = next(
        (
            (past, old)
            for past in content.earlier
            if past.product == section.product
            for old in past.rows
            if old.name == row.name
        ),
        None,
    )
    if was is not None and row.value is not None and was[1].value is not None:
        change = row.value - was[1].value
        sign = "+" if change > 0 else "−" if change < 0 else "±"
        days = was[0].days_before
        ago = "the study of the same day" if days == 0 else f"{days} day{'' if days == 1 else 's'} ago"
        said.append(f"{sign}{number(abs(change), row.unit)} since {ago}")
    return said


def identity_lines(identity: PageIdentity | None) -> list[tuple[str, str]]:
    """Label and value of what a page shows of the patient; empty unless a destination asked for it."""
    if identity is None:
        return []
    return [
        ("Patient", person(identity.patient_name)),
        ("Patient ID", identity.patient_id),
        ("Born", date(identity.birth_date)),
    ]


def person(name: str) -> str:
    """A DICOM person name as it is read: `Family^Given` becomes `Family, Given`; groups of other scripts in brackets."""
    groups = [_group(one) for one in name.split("=")]
    first, *others = [one for one in groups if one] or [""]
    return first + "".join(f" ({one})" for one in others)


def date(text: str) -> str:
    """A DICOM date as ISO 8601; anything else as it is."""
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 and text.isdigit() else text


def moment(made_at: str) -> str:
    """A moment to the minute."""
    return f"{made_at[:16].replace('T', ' ')} UTC" if len(made_at) >= 16 else made_at


def version_line(content: ReportContent) -> str:
    """The version, and what it takes the place of."""
    return f"{content.version}, replaces version {content.version - 1}" if content.supersedes else str(content.version)


def _group(group: str) -> str:
    family, _, rest = group.partition("^")
    given = " ".join(part for part in rest.split("^") if part)
    return f"{family}, {given}" if family and given else family or given


def _is_small_diffusivity(value: float, of_unit: str) -> bool:
    return unit(of_unit) == "mm²/s" and value != 0 and 1e-5 <= abs(value) < 0.1


def _origin(value: str, origin: str) -> str:
    return ORIGIN_WORDS.get(origin, origin) if value else ""


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def _count(rows: list[QcRow], verdict: str) -> int:
    return sum(1 for row in rows if row.verdict == verdict)
