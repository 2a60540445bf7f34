"""REC-10: what a PACS node refuses, does slowly or in part, or drops is told in one sentence; what came of it is kept."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.presentation import build_context

from appliance.errors import RanvierError, Retry
from appliance.receive.nodes import find, retrieve
from appliance.receive.nodes.association import NodeAway, NodeRefuses, associated
from appliance.receive.nodes.find import FIND, Query, QueryRefused
from appliance.receive.nodes.retrieve import NodeUnable, Outcome, Progress, RetrieveFailed
from appliance.receive.nodes.stop import Stop
from appliance.receive.part10 import Origin
from appliance.receive.section import PacsNode
from appliance.records.pulls import Wanted
from tests.pacs import MR, Answers, Pacs, listening
from tests.servers import until

WANTED = Wanted(study_uid="1.2.3")


@pytest.fixture(autouse=True)
def few_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One image class suffices, and proposing all of them takes two seconds."""
    monkeypatch.setattr(retrieve, "_MOST_CLASSES", 1)


def found(number: int) -> Dataset:
    answer = Dataset()
    answer.QueryRetrieveLevel, answer.StudyInstanceUID = "STUDY", f"1.2.{number}"
    return answer


def an_image(number: int) -> Dataset:
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID, image.StudyInstanceUID = MR, f"1.2.3.{number}", "1.2.3"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


class Kept:
    """What C-GET made durable."""

    def __init__(self) -> None:
        self.instances: list[str] = []
        self.refused: set[str] = set()
        self.progress: list[Progress] = []

    def got(self, node: PacsNode, stop: Stop | None = None) -> Outcome:
        return retrieve.get(node, WANTED, keep=self.keep, tell=self.progress.append, stop=stop or Stop())

    def keep(self, origin: Origin, data: bytes) -> int:
        assert data
        if origin.sop_instance in self.refused:
            return 0xA700
        self.instances.append(origin.sop_instance)
        return 0


# --- C-FIND -----------------------------------------------------------------------------------------------------------


def test_a_node_hears_that_enough_answers_came() -> None:
    """REC-10: C-CANCEL arrives as soon as the page is full; the node's later answers are not waited for."""
    pacs = Pacs()

    def endless(event: Any) -> Answers:
        for number in range(8):
            yield 0xFF00, found(number)
        pacs.wait_for_cancel(event)
        yield 0xFE00, None

    pacs.answers = endless
    with listening(pacs) as node, find.session(node) as asking:
        page, more = asking.page(Query(), limit=3, skip=2)
    assert ([one.study_uid for one in page], more) == (["1.2.2", "1.2.3", "1.2.4"], True)
    assert pacs.cancelled.is_set()


def test_a_node_hears_that_the_person_has_stopped_asking() -> None:
    """REC-10: C-CANCEL arrives while the node still looks, before its first answer."""
    pacs, stop = Pacs(), Stop()

    def slow(event: Any) -> Answers:
        pacs.wait_for_cancel(event)
        yield 0xFE00, None

    pacs.answers = slow
    with listening(pacs) as node, ThreadPoolExecutor(1) as pool, find.session(node) as asking:
        searching = pool.submit(asking.page, Query(), limit=3, stop=stop)
        assert pacs.asked.wait(60)
        stop.ask()
        assert searching.result(60) == ([], False)
    assert pacs.cancelled.is_set()


def test_a_node_that_minds_no_cancel_is_left() -> None:
    """It goes on answering: after its time-out the association ends from our side, and the page is whole."""
    pacs = Pacs()

    def deaf(_event: Any) -> Answers:
        number = 0
        while not pacs.over.wait(0.02):
            number += 1
            yield 0xFF00, found(number)

    pacs.answers = deaf
    with listening(pacs) as node, associated(node, [build_context(FIND)]) as association:
        page, more = find.Session(association, msgspec.structs.replace(node, timeout_s=1)).page(Query(), limit=3)
    assert (len(page), more) == (3, True)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (0xA700, NodeAway, "out of resources"),
        (0xA900, QueryRefused, "A900H"),
        (0x0122, QueryRefused, "0122H"),
        (0xC000, QueryRefused, "C000H"),
    ],
)
def test_a_query_that_is_refused_says_how(status: int, error: type[RanvierError], words: str) -> None:
    pacs = Pacs()
    pacs.answers = lambda _event: iter([(status, None)])
    with listening(pacs) as node, find.session(node) as asking, pytest.raises(error) as told:
        asking.page(Query(), limit=3)
    assert words in told.value.what
    assert told.value.next_step


# --- Associations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [("calling", "does not know the calling AE title"), ("called", "does not know the called AE title")],
)
def test_a_node_that_refuses_the_association_is_not_tried_again(answer: str, words: str) -> None:
    with listening(Pacs(), answer=answer) as node, pytest.raises(NodeRefuses) as told, find.session(node):
        pass
    assert words in told.value.what
    assert not isinstance(told.value, Retry)


def test_a_node_that_takes_no_queries_is_not_tried_again() -> None:
    with listening(Pacs(), takes=()) as node, pytest.raises(NodeRefuses) as told, find.session(node):
        pass
    assert "takes nothing of what was proposed" in told.value.what


# --- C-MOVE and C-GET -------------------------------------------------------------------------------------------------


def moved(node: PacsNode, stop: Stop | None = None) -> Outcome:
    return retrieve.move(node, WANTED, to="RANVIER_SCP", tell=lambda _progress: None, stop=stop or Stop())


@pytest.mark.parametrize(
    ("way", "status", "error", "again", "words"),
    [
        ("move", 0xA801, NodeRefuses, False, "does not know our AE title as a destination"),
        ("move", 0xC000, NodeUnable, True, "unable to process the retrieval (C000H)"),
        ("get", 0xA701, NodeAway, True, "out of resources and could not count"),
        ("get", 0xA702, NodeAway, True, "out of resources and could not send"),
        ("get", 0xA900, NodeRefuses, False, "does not match its SOP class"),
        ("get", 0x0124, NodeRefuses, False, "not authorised"),
        ("get", 0xC123, NodeUnable, True, "C123H"),
        ("get", 0x0110, RetrieveFailed, False, "0110H"),
    ],
)
def test_a_retrieval_that_is_refused_says_how_and_whether_it_is_tried_again(
    way: str, status: int, error: type[RanvierError], again: bool, words: str
) -> None:
    """REC-10: one sentence and a next step for each refusal; only what may pass by itself is tried again."""
    pacs = Pacs()
    pacs.answers = lambda _event: iter([*pacs.to_itself(way), 1, (status, None)])
    with listening(pacs) as node, pytest.raises(error) as told:
        moved(node) if way == "move" else Kept().got(node)
    assert words in told.value.what
    assert told.value.next_step
    assert isinstance(told.value, Retry) is again


def three_images(_event: Any) -> Answers:
    yield 3
    for number in range(3):
        yield 0xFF00, an_image(number)


def after_two(then: Callable[[Any], object]) -> Callable[[Any], Answers]:
    def answers(event: Any) -> Answers:
        yield 3
        for number in range(2):
            yield 0xFF00, an_image(number)
        then(event)

    return answers


def dropped(event: Any) -> None:
    event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("then", "words"),
    [
        pytest.param("stalls", "it fell silent for 8 s in the middle of its answers", marks=pytest.mark.long),
        ("aborts", "it broke off before its last answer"),
        ("drops", "it broke off before its last answer"),
    ],
)
def test_a_node_that_breaks_off_is_tried_again_and_what_came_is_kept(then: str, words: str) -> None:
    """REC-10: it stalls, aborts or loses the connection behind the second of three instances."""
    pacs, kept = Pacs(), Kept()
    ways: dict[str, Callable[[Any], object]] = {
        "stalls": lambda _event: pacs.over.wait(60),
        "aborts": lambda event: event.assoc.abort(),
        "drops": dropped,
    }
    pacs.answers = after_two(ways[then])
    with listening(pacs, timeout_s=8 if then == "stalls" else 30) as node, pytest.raises(NodeAway) as told:
        kept.got(node)
    assert words in told.value.what
    assert isinstance(told.value, Retry)
    assert kept.instances == ["1.2.3.0", "1.2.3.1"]


def test_instances_that_a_node_could_not_send_are_counted() -> None:
    """REC-10: a warning (B000) with one failed sub-operation of three, because its second image was not taken."""
    pacs, kept = Pacs(), Kept()
    pacs.answers = three_images
    kept.refused = {"1.2.3.1"}
    with listening(pacs) as node:
        outcome = kept.got(node)
    assert (outcome.progress.completed, outcome.progress.failed, outcome.cancelled) == (2, 1, False)


@pytest.mark.parametrize(("listed", "failed"), [(["1.2.3.7", "1.2.3.8"], 2), (["1.2.3.7"], 1), ([], None)])
def test_a_warning_without_numbers_is_never_taken_for_success(listed: list[str], failed: int | None) -> None:
    """REC-10: B000 with the list of failed instances only, or with nothing: it is not known what is missing."""
    pacs, identifier = Pacs(), Dataset()
    pacs.silent_on_numbers = True
    identifier.FailedSOPInstanceUIDList = listed
    pacs.answers = lambda _event: iter([1, (0xB000, identifier)])
    with listening(pacs) as node:
        if failed is None:
            with pytest.raises(NodeAway) as told:
                Kept().got(node)
            assert "does not say what" in told.value.what
        else:
            assert Kept().got(node).progress.failed == failed


def test_a_node_that_cancels_by_itself_is_asked_again() -> None:
    pacs = Pacs()
    pacs.answers = lambda _event: iter([1, (0xFE00, None)])
    with listening(pacs) as node, pytest.raises(NodeAway) as told:
        Kept().got(node)
    assert "cancelled the retrieval by itself" in told.value.what


@pytest.mark.parametrize("ends", [True, False])
def test_a_retrieval_that_somebody_stops_ends_as_cancelled(ends: bool) -> None:
    """REC-10: C-CANCEL arrives while the node sends nothing; it answers that it stopped, or drops the association."""
    pacs, kept, stop = Pacs(), Kept(), Stop()

    def until_cancelled(event: Any) -> Answers:
        yield 3
        yield 0xFF00, an_image(0)
        pacs.wait_for_cancel(event)
        if ends:
            yield 0xFE00, None
        else:
            event.assoc.abort()

    pacs.answers = until_cancelled
    with listening(pacs) as node, ThreadPoolExecutor(1) as pool:
        getting = pool.submit(kept.got, node, stop)
        until(lambda: bool(kept.instances), "the first instance")
        stop.ask()
        assert getting.result(60).cancelled
    assert pacs.cancelled.is_set()
    assert kept.instances == ["1.2.3.0"]
