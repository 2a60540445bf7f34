"""The test button of a settings page: what stands in the form goes to the API, saved or not, and its sentences come back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.text import Text
from textual import on, work
from textual.message import Message

from tui.client import Client
from tui.flows import TEST_PATIENT, ProbeFound, test_object_effect
from tui.form import FormSection, Unreadable
from tui.inert import inert
from tui.messages import WentWrong
from tui.screens.dialogs import Confirm, TextDialog
from tui.screens.page import Page
from tui.trouble import Trouble

TESTS = {
    "cloud": "cloud",
    "saml": "saml",
    "notify": "notification",
    "scan": "malware",
    "delivery": "delivery",
    "nodes": "node",
    "drops": "drop",
}
"""Section -> the API's word for its test."""
_LISTS = {
    "delivery": ("destinations", "failure_destinations", "group_destinations", "study_destinations"),
    "nodes": ("nodes", "web"),
    "drops": ("folders",),
}
"""Fields whose entries are tested one by one."""
_TAKE_OBJECTS = ("dicom-pdf", "dicom-sr", "dicom-sc", "stow-rs")

Asked = list[tuple[str, dict[str, Any]]]
"""Name and body of each test."""


def requests(section: FormSection, drafts: Mapping[str, str], saved: Mapping[str, Any]) -> Asked:
    """Name and body of each test of a section; raises `Unreadable` for a draft that has not the form of its field."""
    fields = {field.name: field.read(drafts[field.key]) for field in section.fields if field.key in drafts}
    if section.name not in _LISTS:
        return [(section.title, fields)]
    found = []
    for name in _LISTS[section.name]:
        listed = fields.get(name, saved.get(name, []))
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise Unreadable("is no list of entries")
        found += [(str(one.get("name", "one without a name")), one) for one in listed]
    return found


def objects(asked: Asked) -> Asked:
    """Of the tests of destinations those that store a test object, with the consent that was given."""
    # A destination without a protocol is of the first kind, as the API has it.
    taking = [(name, one) for name, one in asked if one.get("protocol", _TAKE_OBJECTS[0]) in _TAKE_OBJECTS]
    return [(name, {"destination": one, "patient": TEST_PATIENT}) for name, one in taking]


class Testing(Page):
    """The keys of a page of settings that test what its form holds; nothing is saved."""

    @dataclass
    class Tested(Message):
        """A test came back."""

        text: str

    def to_test(self) -> tuple[str, Asked] | None:
        """The open section's word and its tests; None when there is nothing that can be tested."""
        raise NotImplementedError

    def action_test(self) -> None:
        """Tests the connection of the open section as it stands in the form."""
        if found := self.to_test():
            self.say("Testing; each connection answers within 15 seconds.")
            self._test(f"/api/settings/test/{TESTS[found[0]]}", found[1])

    def action_test_object(self) -> None:
        """Stores a marked test object at each DICOM destination of the form, after a question that names the patient."""
        if not (found := self.to_test()):
            return
        taking = objects(found[1])
        if not taking:
            self.say("No destination here takes DICOM objects.", bad=True)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._test("/api/delivery/test-object", taking)

        effect = test_object_effect(*(name for name, _ in taking))
        self.app.push_screen(Confirm("Store a test object?", effect, "Store it"), answered)

    @work(group="test", exclusive=True)
    async def _test(self, path: str, asked: Asked) -> None:
        try:
            text = await run(self.console.client, path, asked)
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.post_message(self.Tested(text))

    @on(Tested)
    def _tested(self, message: Tested) -> None:
        self.app.push_screen(TextDialog("Test of the connection", Text(inert(message.text, lines=True))))


async def run(client: Client, path: str, asked: Asked) -> str:
    """The answers of all tests as one text."""
    parts = []
    for name, body in asked:
        found = await client.post(path, ProbeFound, body)
        head = f"{name}: {'works' if found.ok else 'does not work'}"
        told = [f"{key}: {value.splitlines()[0]}" for key, value in found.values.items() if value]
        parts.append("\n".join([head, *(f"  {line}" for line in (*found.lines, *told))]))
    return "\n\n".join(parts) or "There is nothing to test."
