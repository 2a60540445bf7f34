"""Why associations came to nothing: one sentence and what helps, for each kind of end."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from pydicom.uid import UID

from appliance.receive import endings
from appliance.receive.endings import Trouble


@dataclass
class Proposed:
    abstract_syntax: Any
    transfer_syntax: Any
    result: int | None


MR = UID("1.2.840.10008.5.1.4.1.1.4")
FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")


@pytest.mark.parametrize(
    ("contexts", "said", "helps"),
    [
        (
            [Proposed(MR, [UID("1.3.46.670589.33.1.4.1")], 4)],
            "it proposes only 1.3.46.670589.33.1.4.1, which is no transfer syntax of the standard",
            "Explicit VR Little Endian",
        ),
        (
            [Proposed(FIND, [], 3)],
            "it proposes only what is not stored here: Study Root Query/Retrieve Information Model - FIND",
            "other services",
        ),
        ([Proposed(UID("1.3.12.2.1107.5.9.1"), [], 3)], "not stored here: 1.3.12.2.1107.5.9.1", "private storage classes"),
        ([Proposed(UID("\x1b[2J"), [], 3)], "not stored here: something that is no UID", "C-STORE"),
        ([], "nothing", "C-STORE"),
    ],
)
def test_unwanted_proposals_are_named_with_what_helps(contexts: list[Proposed], said: str, helps: str) -> None:
    found = endings.unwanted(contexts)
    assert said in found.sentence
    assert helps in found.advice


def test_many_proposals_are_not_all_listed() -> None:
    contexts = [Proposed(UID(f"1.3.{number}"), [], 3) for number in range(1, 9)]
    assert endings.unwanted(contexts).sentence.endswith("1.3.1, 1.3.2, 1.3.3 and 5 more")


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (endings.aborted(1, in_mid_instance=False), "it aborted after 1 instance"),
        (endings.aborted(5, in_mid_instance=True), "it aborted in the middle of an instance"),
        (endings.lost(0, in_mid_instance=False), "the connection broke off after 0 instances"),
        (endings.silent(60.0, in_mid_instance=True), "it said nothing for 60 s in the middle of an instance"),
        (endings.broke_protocol("a PDU is longer than was agreed"), "it broke the protocol: a PDU is longer than was agreed"),
    ],
)
def test_every_end_has_a_sentence_and_advice(trouble: Trouble, said: str) -> None:
    assert trouble.sentence == said
    assert trouble.advice


def test_refused_instances_are_counted_and_their_main_cause_is_told() -> None:
    found = endings.refused_instances(Counter({0xA700: 7, 0xC000: 2}))
    assert found is not None
    assert found.sentence == "9 instances refused with 0xA700: there is no room on the disk"
    assert endings.refused_instances(Counter()) is None
