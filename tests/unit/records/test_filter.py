import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.records.engine import Records
from appliance.records.filter import FilterProblem, Value, compile_filter, parse
from appliance.records.lists import order_ids_page, results_page, studies_page
from appliance.records.paging import Asked
from appliance.records.words import ORDER_WORDS, RESULT_WORDS, STUDY_WORDS
from appliance.states import DELIVERY_FACTS, ORDER_FACTS, STUDY_FACTS

NOW = 1_790_000_000_000
DAY = 86_400_000


def _position(text: str) -> int:
    with pytest.raises(FilterProblem) as caught:
        compile_filter(text, STUDY_WORDS, NOW)
    return caught.value.position


def test_terms_values_quotes_and_negation_are_understood() -> None:
    terms = parse('status:failed,qc !group:"Early onset" age<40 "free text" !other', STUDY_WORDS)
    assert [(one.key, one.op, [value.text for value in one.values], one.negated, one.position) for one in terms] == [
        ("status", ":", ["failed", "qc"], False, 0),
        ("group", ":", ["Early onset"], True, 17),
        ("age", "<", ["40"], False, 38),
        ("", ":", ["free text"], False, 45),
        ("", ":", ["other"], True, 57),
    ]
    assert terms[0].values[1] == Value("qc", 14)


def test_the_example_of_the_reference_is_understood() -> None:
    text = "status:failed,qc label:Uploaded group:PARK* product:DTI received>2d age<40 !text"
    assert len(parse(text, STUDY_WORDS)) == 7
    assert compile_filter(text, STUDY_WORDS, NOW).sql.count("{}") == len(compile_filter(text, STUDY_WORDS, NOW).values)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("colour:red", 0),
        ("status:qc colour:red", 10),
        ("status:qc !colour:red", 11),
        ("status:", 7),
        ("status:qc,", 10),
        ("status:,qc", 7),
        ("status:purple", 7),
        ("status:qc,purple", 10),
        ("status>qc", 0),
        ('group:"open', 6),
        ('group:"a"b', 9),
        ('group:""', 6),
        ("age<young", 4),
        ("age<-1", 4),
        ("received>soon", 9),
        ("received:2d", 9),
        ("received>2026-13-01", 9),
        ("id:xyz", 3),
        ("qc:maybe", 3),
        ("!", 1),
        ("group:a\x00b", 6),
        ("x" * 1001, 1000),
        (" ".join(["a"] * 41), 80),
    ],
)
def test_a_problem_says_where_it_is(text: str, position: int) -> None:
    assert _position(text) == position


def test_a_problem_does_not_repeat_what_was_typed() -> None:
    with pytest.raises(FilterProblem) as caught:
        compile_filter("patient:Mustermann", STUDY_WORDS, NOW)
    assert "Mustermann" not in caught.value.what
    assert "status" in caught.value.what


def test_every_state_has_a_word() -> None:
    for table in (STUDY_FACTS, ORDER_FACTS, DELIVERY_FACTS):
        for facts in table.values():
            assert compile_filter(f"status:{facts.filter_word}", STUDY_WORDS, NOW).sql


def test_every_words_own_example_is_understood() -> None:
    for words in (STUDY_WORDS, ORDER_WORDS, RESULT_WORDS):
        for word in words.values():
            assert compile_filter(word.example, words, NOW).sql


def test_longer_ago_is_earlier() -> None:
    assert compile_filter("received>2d", STUDY_WORDS, NOW).values == (NOW - 2 * DAY,)
    assert " < " in compile_filter("received>2d", STUDY_WORDS, NOW).sql
    assert " > " in compile_filter("received<2d", STUDY_WORDS, NOW).sql


def test_a_date_is_a_whole_day() -> None:
    begin = 1_795_305_600_000
    assert compile_filter("received:2026-11-22", STUDY_WORDS, NOW).values == (begin, begin + DAY)
    assert compile_filter("received>2026-11-22", STUDY_WORDS, NOW).values == (begin + DAY,)
    assert compile_filter("received>=2026-11-22", STUDY_WORDS, NOW).values == (begin,)
    assert compile_filter("received<2026-11-22", STUDY_WORDS, NOW).values == (begin,)
    assert compile_filter("received<=2026-11-22", STUDY_WORDS, NOW).values == (begin + DAY,)


@given(st.text(alphabet="'\";-%_{}\\Q", min_size=1, max_size=12).map(lambda text: text.replace('"', "")).filter(bool))
@example("'; DROP TABLE studies; --")
def test_what_a_user_types_is_never_part_of_the_statement(text: str) -> None:
    """No SQL injection: the statement of one text is the statement of every other."""
    harmless = compile_filter('group:"harmless"', STUDY_WORDS, NOW)
    typed = compile_filter(f'group:"{text}"', STUDY_WORDS, NOW)
    assert typed.sql == harmless.sql
    assert len(typed.values) == len(harmless.values)


_words = st.sampled_from([name for name in STUDY_WORDS if name])
_terms = st.one_of(
    st.text(max_size=15),
    st.builds("{}{}{}".format, _words, st.sampled_from([":", "<", ">", ">=", "<=", "="]), st.text(max_size=10)),
    st.sampled_from([word.example for word in STUDY_WORDS.values()]),
    st.sampled_from([word.example for word in STUDY_WORDS.values()]).map("!{}".format),
)


@given(st.lists(_terms, max_size=5).map(" ".join))
def test_any_text_is_a_filter_or_a_problem_with_a_place(text: str) -> None:
    for words in (STUDY_WORDS, ORDER_WORDS, RESULT_WORDS):
        try:
            clause = compile_filter(text, words, NOW)
        except FilterProblem as problem:
            assert 0 <= problem.position <= len(text)
        else:
            assert clause.sql.count("{}") == len(clause.values)


async def test_both_engines_understand_every_word(records: Records) -> None:
    lists = ((studies_page, STUDY_WORDS), (order_ids_page, ORDER_WORDS), (results_page, RESULT_WORDS))
    for page, words in lists:
        for word in words.values():
            for text in (word.example, f"!{word.example}", f"{word.example} {word.example}"):
                assert (await page(records, Asked(filter=text), NOW)).items == []
    for choice in STUDY_WORDS["status"].choices:
        assert (await studies_page(records, Asked(filter=f"status:{choice}"), NOW)).items == []
