"""The words of the filter language, as conditions on real columns: `s` is the study, `o` its order, `r` the report.

A `+` before a column, or an empty text joined to it, keeps an engine from walking that column's index instead of the list's
own order; `appliance.records.lists` takes it away where the list is sorted by that column.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from appliance.records.filter import Clause, FilterProblem, Term, Value, Vocabulary, Word
from appliance.records.lookup import SHORTEST_END, dashed
from appliance.records.narrow import FLAGGED, SHORTEST_RUN, Narrow, by_words
from appliance.states import DELIVERY_FACTS, ORDER_FACTS, STUDY_FACTS, DeliveryState, OrderState

_DURATION = re.compile(r"(\d{1,6})(m|h|d|w)")
_UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_NUMBER = re.compile(r"\d{1,9}")
_COMPARE = {">": ">", "<": "<", ">=": ">=", "<=": "<=", ":": "=", "=": "="}
_ID = re.compile(r"[0-9a-f]{1,32}")


def _either(clauses: Iterable[Clause]) -> Clause:
    found = list(clauses)
    return Clause(" OR ".join(one.sql for one in found), tuple(value for one in found for value in one.values))


def _equals_only(term: Term) -> None:
    if term.op not in (":", "="):
        raise FilterProblem(term.position, f"{term.key} is compared with : only")


def like_pattern(text: str, *, inside: bool = False) -> str:
    """A LIKE pattern (escape character backslash) in which only `*` is special; `inside` finds it anywhere."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    return f"%{escaped}%" if inside else escaped


def _ascii_lower(text: str) -> str:
    return "".join(one.lower() if one.isascii() else one for one in text)


def _matches(column: str, pattern: str) -> Clause:
    lowered = Clause(f"LOWER({column}) LIKE {{}} ESCAPE '\\'", (_ascii_lower(pattern),))
    if pattern.isascii():
        return lowered
    # SQLite lowers ASCII only, PostgreSQL all letters: the text as it was typed is found on both.
    return _either([lowered, Clause(f"{column} LIKE {{}} ESCAPE '\\'", (pattern,))])


def text_of(*columns: str, indexed: bool = True) -> Callable[[Term, int], Clause]:
    """A word that compares one of some columns with a pattern; `indexed`: they stand in the text of a study."""

    def build(term: Term, _now: int) -> Clause:
        _equals_only(term)
        found = _either(_matches(column, like_pattern(value.text)) for value in term.values for column in columns)
        return Clause(found.sql, found.values, by_words(*(value.text for value in term.values)) if indexed else ())

    return build


def free_text(identifiers: tuple[str, ...], *columns: str) -> Callable[[Term, int], Clause]:
    """Bare text: found anywhere in one of some columns or in the eight digits by which people name something.

    More digits than those are the beginning or the end of an identifier.
    """

    def build(term: Term, _now: int) -> Clause:
        typed = term.values[0].text
        digits = typed.lower().replace("-", "")
        if len(digits) > SHORTEST_END and _ID.fullmatch(digits):
            return _identified(digits, identifiers)
        pattern = like_pattern(typed, inside=True)
        ends = [f"SUBSTR({one}, 29)" for one in identifiers]
        found = _either(_matches(column, pattern) for column in (*ends, *columns))
        return Clause(found.sql, found.values, by_words(typed))

    return build


def _identified(digits: str, columns: tuple[str, ...]) -> Clause:
    found = []
    for column in columns:
        found.append(Clause(f"{column} LIKE {{}}", (dashed(digits) + "%",)))
        found.append(Clause(f"REPLACE({column}, '-', '') LIKE {{}}", ("%" + digits,)))
    either = _either(found)
    quick = (Narrow("ids", ((digits,),)),) if len(digits) >= SHORTEST_RUN else ()
    return Clause(either.sql, either.values, quick)


def listed_in(column: str, before: str, after: str) -> Callable[[Term, int], Clause]:
    """A word that looks for an entry of a list kept as text, each entry between two marks."""

    def build(term: Term, _now: int) -> Clause:
        _equals_only(term)
        framed = f"({column})"
        found = _either(
            _matches(framed, f"%{like_pattern(before)}{like_pattern(one.text)}{like_pattern(after)}%") for one in term.values
        )
        return Clause(found.sql, found.values, by_words(*(one.text for one in term.values)))

    return build


def number(column: str) -> Callable[[Term, int], Clause]:
    """A word that compares a number."""

    def build(term: Term, _now: int) -> Clause:
        def one(value: Value) -> Clause:
            if not _NUMBER.fullmatch(value.text):
                raise FilterProblem(value.position, "a whole number belongs here")
            return Clause(f"+{column} {_COMPARE[term.op]} {{}}", (int(value.text),))

        return _either(one(value) for value in term.values)

    return build


def moment(column: str) -> Callable[[Term, int], Clause]:
    """A word that compares a time: with how long ago it is (`2d`), or with a date in UTC."""

    def build(term: Term, now: int) -> Clause:
        return _either(_when(column, term.op, value, now) for value in term.values)

    return build


def _when(column: str, op: str, value: Value, now: int) -> Clause:
    duration = _DURATION.fullmatch(value.text)
    if duration:
        if op in (":", "="):
            raise FilterProblem(value.position, "say < (within) or > (longer ago) before a duration")
        # Longer ago is earlier.
        turned = {">": "<", ">=": "<=", "<": ">", "<=": ">="}[op]
        return Clause(f"+{column} {turned} {{}}", (now - int(duration[1]) * _UNIT_MS[duration[2]],))
    try:
        day = datetime.strptime(value.text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise FilterProblem(value.position, "a duration such as 2d, 12h, 30m, 1w or a date such as 2026-11-22") from None
    begin = int(day.timestamp() * 1000)
    end = begin + int(timedelta(days=1).total_seconds() * 1000)
    if op in (":", "="):
        return Clause(f"(+{column} >= {{}} AND +{column} < {{}})", (begin, end))
    return Clause(f"+{column} {'<' if op in ('<', '<=') else '>='} {{}}", (begin if op in ("<", ">=") else end,))


def identifier(*columns: str) -> Callable[[Term, int], Clause]:
    """A word that takes the beginning or the end of one of our identifiers, hyphens or not."""

    def build(term: Term, _now: int) -> Clause:
        _equals_only(term)
        found: list[Clause] = []
        for value in term.values:
            digits = value.text.lower().replace("-", "")
            if not _ID.fullmatch(digits):
                raise FilterProblem(value.position, "hexadecimal digits and hyphens belong here")
            found.append(_identified(digits, columns))
        return _one_of(found)

    return build


def _one_of(clauses: list[Clause]) -> Clause:
    """Either of some clauses, with one quick way if each of them has one."""
    either = _either(clauses)
    if not all(one.narrow for one in clauses):
        return either
    kind = clauses[0].narrow[0].kind
    alternatives = tuple(dict.fromkeys(alternative for one in clauses for alternative in one.narrow[0].alternatives))
    return Clause(either.sql, either.values, (Narrow(kind, alternatives),), exact=all(one.exact for one in clauses))


_ACTIVE, _PROBLEM, _DONE = "active", "problem", "done"
STATUS_CHOICES: tuple[str, ...] = (
    _ACTIVE,
    _PROBLEM,
    _DONE,
    *(one.filter_word for one in STUDY_FACTS.values()),
    *(one.filter_word for one in ORDER_FACTS.values()),
    *(one.filter_word for one in DELIVERY_FACTS.values()),
)


def _in(column: str, states: list[str]) -> list[Clause]:
    return [Clause(f"{column} || '' IN ({', '.join('{}' for _ in states)})", tuple(states))] if states else []


def status(term: Term, _now: int) -> Clause:
    """The state of the newest order, of the study where there is none, and of deliveries."""
    _equals_only(term)
    return _one_of([_status(value) for value in term.values])


def _status(value: Value) -> Clause:
    word = value.text.lower().replace("-", "_")
    orders = [str(state) for state, facts in ORDER_FACTS.items() if word == facts.filter_word]
    studies = [str(state) for state, facts in STUDY_FACTS.items() if word == facts.filter_word]
    delivered = [state for state, facts in DELIVERY_FACTS.items() if word == facts.filter_word]
    flagged = DeliveryState.FAILED in delivered
    if word == _ACTIVE:
        orders = [str(state) for state, facts in ORDER_FACTS.items() if facts.active]
        studies = [str(state) for state, facts in STUDY_FACTS.items() if facts.active]
    elif word == _PROBLEM:
        orders = [str(state) for state, facts in ORDER_FACTS.items() if facts.needs_person or state is OrderState.FAILED]
        studies = [str(state) for state, facts in STUDY_FACTS.items() if facts.needs_person]
        flagged = True
    elif word == _DONE:
        orders = [str(OrderState.DELIVERED)]
    clauses = _in("o.state", orders)
    clauses += [Clause(f"(o.id IS NULL AND {one.sql})", one.values) for one in _in("s.state", studies)]
    clauses += [Clause("o.delivery_failed = {}", (True,))] if flagged else []
    quick = tuple((state,) for state in (*orders, *studies, *((FLAGGED,) if flagged else ())))
    for state in delivered:
        if state is not DeliveryState.FAILED:
            found = "EXISTS (SELECT 1 FROM deliveries d WHERE d.order_id = o.id AND d.state = {})"
            clauses.append(Clause(found, (str(state),)))
    if not clauses:
        raise FilterProblem(value.position, f"a state belongs here: {', '.join(STATUS_CHOICES)}")
    either = _either(clauses)
    # A delivery's own state stands in no index of studies.
    whole = not delivered or delivered == [DeliveryState.FAILED]
    return Clause(either.sql, either.values, (Narrow("states", quick),) if whole else (), exact=whole)


QC_CHOICES = ("passed", "warning", "failed", "bypassed", "none")


def qc(term: Term, _now: int) -> Clause:
    """The verdict of quality control on the newest order; `bypassed` are those that a person let through."""
    _equals_only(term)

    def one(value: Value) -> Clause:
        word = value.text.lower()
        if word not in QC_CHOICES:
            raise FilterProblem(value.position, f"one of {', '.join(QC_CHOICES)} belongs here")
        if word == "bypassed":
            return Clause("o.bypass_by <> ''")
        if word == "none":
            return Clause("(o.id IS NULL OR o.qc_verdict = '')")
        return Clause("(o.qc_verdict = {} AND o.bypass_by = '')", (word,))

    return _either(one(value) for value in term.values)


def choice(column: str, choices: tuple[str, ...]) -> Callable[[Term, int], Clause]:
    """A word with a few possible values."""

    def build(term: Term, _now: int) -> Clause:
        _equals_only(term)
        for value in term.values:
            if value.text.lower() not in choices:
                raise FilterProblem(value.position, f"one of {', '.join(choices)} belongs here")
        return _in(column, [value.text.lower() for value in term.values])[0]

    return build


_LABELS = listed_in("s.labels", '"', '"')
_PRODUCTS = listed_in("',' || o.products || ','", ",", ",")

_COMMON: dict[str, Word] = {
    "status": Word("State of the order, else of the study", "status:failed,qc", status, STATUS_CHOICES),
    "qc": Word("Verdict of quality control", "qc:failed", qc, QC_CHOICES),
    "group": Word("Group", "group:PARK*", text_of("s.group_name")),
    "label": Word("Label of the study", "label:Uploaded", _LABELS),
    "product": Word("Product of the order", "product:dti", _PRODUCTS),
    "sender": Word("AE title or place it came from", "sender:MR*", text_of("s.sender")),
    "origin": Word("How it came", "origin:dicom", text_of("s.origin", indexed=False)),
    "code": Word("Reason code of a failed or held order", "code:out-of-*", text_of("o.code", "s.reason")),
    "age": Word("Age of the patient in years", "age<40", number("o.age_years")),
    "instances": Word("Number of instances", "instances>100", number("s.instances")),
    "series": Word("Number of series", "series>3", number("s.series")),
    "priority": Word("Priority", "priority>0", number("o.priority")),
    "received": Word("When the first instance came", "received<2d", moment("s.first_at")),
}

STUDY_WORDS: Vocabulary = {
    "": Word("Text anywhere in a row", "MR1", free_text(("s.id", "o.id"), "s.sender", "s.group_name", "o.products", "o.code")),
    **_COMMON,
    "updated": Word("When the last instance came", "updated<1h", moment("s.last_at")),
    "id": Word("Beginning or end of a study's or order's identifier", "id:0199ab12", identifier("s.id", "o.id")),
}

ORDER_WORDS: Vocabulary = {
    "": Word(
        "Text anywhere in a row", "dti", free_text(("o.id", "o.study"), "s.sender", "o.group_name", "o.products", "o.code")
    ),
    **_COMMON,
    "created": Word("When the order was opened", "created<1d", moment("o.created_at")),
    "updated": Word("When the order last changed", "updated<1h", moment("o.updated_at")),
    "owner": Word("Who opened the order", "owner:admin", text_of("o.owner", indexed=False)),
    "study": Word("Beginning or end of the study's identifier", "study:0199ab12", identifier("o.study")),
    "id": Word("Beginning or end of the order's identifier", "id:0199ab12", identifier("o.id")),
}

RESULT_WORDS: Vocabulary = {
    "": Word("Text anywhere in a row", "dti", free_text(("r.id", "o.id", "o.study"), "s.sender", "s.group_name", "o.products")),
    **_COMMON,
    "kind": Word("Report or failure report", "kind:failure", choice("r.kind", ("report", "failure")), ("report", "failure")),
    "created": Word("When the report was made", "created<1d", moment("r.created_at")),
    "version": Word("Version of the report", "version>1", number("r.version")),
    "order": Word("Beginning or end of the order's identifier", "order:0199ab12", identifier("o.id")),
    "study": Word("Beginning or end of the study's identifier", "study:0199ab12", identifier("o.study")),
    "id": Word("Beginning or end of the report's identifier", "id:0199ab12", identifier("r.id")),
}


def _plain(columns: tuple[str, ...], **words: Word) -> Vocabulary:
    """The words of a list whose rows are of one table: text anywhere in some columns, and each word by itself."""
    return {"": Word("Text anywhere in a row", "failed", free_text(("n.id",), *columns)), **words}


NOTICE_WORDS = _plain(
    ("n.subject", "n.route", "n.state", "n.reason"),
    state=Word("Whether it was told", "state:failed", text_of("n.state", indexed=False)),
    event=Word("Which event", "event:qc-failed", text_of("n.subject", indexed=False)),
    severity=Word("How grave", "severity:error", text_of("n.severity", indexed=False)),
    way=Word("On which way", "way:webhook", text_of("n.route", indexed=False)),
    at=Word("When", "at<1d", moment("n.at")),
)
PULL_WORDS = _plain(
    ("n.node", "n.state", "n.reason", "n.owner", "n.detail"),
    state=Word("How far it is", "state:failed", text_of("n.state", indexed=False)),
    node=Word("From which node", "node:PACS", text_of("n.node", indexed=False)),
    reason=Word("Why it was asked for", "reason:priors", text_of("n.reason", indexed=False)),
    level=Word("Of what", "level:study", text_of("n.level", indexed=False)),
    owner=Word("Who asked", "owner:meyer", text_of("n.owner", indexed=False)),
    created=Word("When it was asked for", "created<1d", moment("n.created_at")),
)
DROP_WORDS = _plain(
    ("n.folder", "n.state", "n.detail"),
    state=Word("What became of it", "state:refused", text_of("n.state", indexed=False)),
    folder=Word("Which folder", "folder:site-*", text_of("n.folder", indexed=False)),
    created=Word("When it was taken", "created<1d", moment("n.created_at")),
)

AUDIT_WORDS: Vocabulary = {
    "": Word(
        "Text anywhere in a row", "bypass", free_text(("a.target",), "a.actor", "a.action", "a.origin", "a.result", "a.detail")
    ),
    "actor": Word("Who", "actor:meyer", text_of("a.actor", indexed=False)),
    "action": Word("What", "action:identity.*", text_of("a.action", indexed=False)),
    "target": Word("On what, by our identifiers", "target:0199ab12*", text_of("a.target", indexed=False)),
    "origin": Word("From where", "origin:10.0.0.*", text_of("a.origin", indexed=False)),
    "result": Word("With which result", "!result:done", text_of("a.result", indexed=False)),
    "at": Word("When", "at<1d", moment("a.at")),
}
