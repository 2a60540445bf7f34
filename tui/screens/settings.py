"""Settings: every section as a form made from the API's JSON Schema."""

from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Label, OptionList, Static, TextArea
from textual.widgets.option_list import Option

from tui.clock import full_time, moment
from tui.contract import SettingsSaved, SettingsView
from tui.form import FormField, FormSection, Unreadable, sections
from tui.inert import inert, short
from tui.messages import Happened, NotLoaded, Went, WentWrong
from tui.screens import settings_test
from tui.screens.dialogs import Confirm
from tui.trouble import Problem, Trouble
from tui.widgets.choice import Choice
from tui.widgets.states import ErrorState


class SettingsPage(settings_test.Testing):
    """Sections on the left, the fields of one on the right, about the field with the keys below."""

    MODE = "settings"
    CSS_PATH = "settings.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "Save"),
        Binding("ctrl+t", "test", "Test"),
        Binding("ctrl+o", "test_object", "Store a test object"),
        Binding("ctrl+z", "undo", "Undo field"),
        Binding("ctrl+r", "discard", "Discard all"),
        Binding("escape", "to_sections", "Sections"),
        Binding("right,l", "to_fields", "Fields"),
    ]
    KEYS = ("save", "test", "test_object", "undo", "discard", "to_fields", "to_sections", "refresh")

    @dataclass
    class Loaded(Message):
        """Schema and values came."""

        schema: dict[str, Any]
        view: SettingsView

    def __init__(self) -> None:
        super().__init__()
        self._sections: list[FormSection] = []
        self._view = SettingsView()
        self._open = ""
        self._wrong: dict[str, str] = {}
        self.drafts: dict[str, str] = {}
        """Field key -> what was typed and is not saved; kept through other pages and a new sign-in."""

    def body(self) -> ComposeResult:
        """Two halves, and a place for help."""
        with Horizontal(id="halves"):
            yield OptionList(id="sections", compact=True)
            yield VerticalScroll(id="fields", can_focus=False)
        yield Static(id="about", markup=False)
        yield ErrorState(markup=False)

    def on_mount(self) -> None:
        """The sections take the keys."""
        super().on_mount()
        self.query_one("#sections").focus()

    def reload(self) -> None:
        """Schema and values again; what was typed stays."""
        if self.console.signed_in:
            self._load()

    @work(group="load", exclusive=True)
    async def _load(self) -> None:
        client = self.console.client
        try:
            schema = await client.get("/api/settings/schema", dict[str, Any])
            view = await client.get("/api/settings", SettingsView)
        except Trouble as trouble:
            self.post_message(NotLoaded(trouble))
            return
        self.post_message(self.Loaded(schema, view))

    @on(Loaded)
    async def _loaded(self, message: Loaded) -> None:
        if not self.ready:
            return
        self.trouble = None
        same = self._sections and message.view == self._view
        self._view, self._sections = message.view, sections(message.schema)
        if not same:
            await self._show_sections()
        self.draw()

    def happened(self, message: Happened) -> None:
        """Somebody saved: read again."""
        if message.event.name == "settings-changed":
            self.reload()

    # Drawing -------------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """The error instead of the form where there is no form; the names of the sections."""
        if not self.ready:
            return
        broken = self.trouble is not None and not self._sections
        self.set_class(broken, "-broken")
        if self.trouble is not None and broken:
            self.query_one(ErrorState).show(self.trouble)
        self._draw_names()
        super().draw()

    def _draw_names(self) -> None:
        listed = self.query_one("#sections", OptionList)
        for index, section in enumerate(self._sections[: listed.option_count]):
            listed.replace_option_prompt_at_index(index, self._label(section))

    def _label(self, section: FormSection) -> Text:
        changed = sum(field.key in self.drafts for field in section.fields)
        mark = self.console.look.glyph("●", "*")
        name = Text(short(section.title, 22, self.console.look.ellipsis))
        return name.append(f" {mark}{changed}", self.console.colour("!")) if changed else name

    async def _show_sections(self) -> None:
        listed = self.query_one("#sections", OptionList)
        listed.clear_options()
        listed.add_options([Option(self._label(section), id=section.name) for section in self._sections])
        names = [section.name for section in self._sections]
        if self._open not in names:
            self._open = names[0] if names else ""
        if self._open:
            listed.highlighted = names.index(self._open)
        await self._show_fields()

    async def _show_fields(self) -> None:
        place = self.query_one("#fields", VerticalScroll)
        section = next((one for one in self._sections if one.name == self._open), None)
        with self.app.batch_update():
            await place.remove_children()
            if section is not None:
                await place.mount(*(self._row(field) for field in section.fields))

    def _row(self, field: FormField) -> Vertical:
        wide = self.app.size.width >= 100
        notes = [field.unit, f"restart {field.restart}" if field.restart and wide else ""]
        note = "  ".join(part for part in notes if part)
        against = field.reason_against(self._view.settings)
        words = f"not available: {against}" if field.unavailable else against
        line = Horizontal(
            Label(Text(short(field.title, 26, self.console.look.ellipsis)), classes="title"),
            self._control(field),
            Label(Text(note, "dim"), classes="note"),
            classes="line -tall" if field.tall else "line",
        )
        why = [Static(Text(words), classes="why")] if against else []
        return Vertical(line, *why, Static(Text(self._wrong.get(field.key, "")), classes="wrong", id=f"w-{_id(field.key)}"))

    def _control(self, field: FormField) -> Widget:
        draft = self.drafts.get(field.key, self._saved(field))
        hint = field.hint(self._value(field))
        control: Widget
        if field.kind == "choice":
            control = Choice(field.choices, draft, id=_id(field.key))
        elif field.tall:
            control = TextArea(draft, id=_id(field.key), compact=True, tab_behavior="focus", placeholder=hint)
        else:
            control = Input(draft, placeholder=hint, password=field.kind == "secret", compact=True, id=_id(field.key))
            control.cursor_blink = False
        control.disabled = not self.may_write or bool(field.reason_against(self._view.settings))
        return control

    def _value(self, field: FormField) -> Any:
        return self._view.settings.get(field.section, {}).get(field.name)

    def _saved(self, field: FormField) -> str:
        return field.show(self._value(field))

    @property
    def may_write(self) -> bool:
        """Only administrators change settings; others read them."""
        return self.console.me.role in {"admin", ""}

    def status(self) -> list[Text | str]:
        """How much is not saved, and who saved last."""
        saved = f"version {self._view.version}"
        if self._view.saved_by:
            saved += f" by {inert(self._view.saved_by)}"
            if self.app.size.width >= 100:
                saved += f" {full_time(moment(self._view.saved_at), self.console.place)}"
        count = len(self.drafts)
        unsaved = Text(f"{count} unsaved change{'s' if count > 1 else ''}", self.console.colour("!")) if count else ""
        return [unsaved, saved if self._sections else "loading", "" if self.may_write else "read only"]

    def privacy(self) -> Text | str:
        """There is no patient here."""
        return ""

    # Typing --------------------------------------------------------------------------------------------------------

    def _field(self, control: Widget | None) -> FormField | None:
        if control is None:
            return None
        fields = (field for section in self._sections for field in section.fields)
        return next((field for field in fields if _id(field.key) == control.id), None)

    @on(Input.Changed)
    @on(Choice.Changed)
    @on(TextArea.Changed)
    def _typed(self, event: Input.Changed | Choice.Changed | TextArea.Changed) -> None:
        field = self._field(event.control)
        if field is None:
            return
        text = event.text_area.text if isinstance(event, TextArea.Changed) else event.value
        if text == self._saved(field):
            self.drafts.pop(field.key, None)
        else:
            self.drafts[field.key] = text
        self._say_wrong(field.key, "")
        self._draw_names()
        self.draw_status()
        self.draw_keys()

    def _say_wrong(self, key: str, text: str) -> None:
        self._wrong[key] = text
        for line in self.query(f"#w-{_id(key)}").results(Static):
            line.update(Text(inert(text)))
            line.set_class(bool(text), "-shown")

    def on_descendant_focus(self, event: events.DescendantFocus | None = None) -> None:
        """About the field that has the keys now."""
        super().on_descendant_focus()
        field = self._field(self.focused)
        about = self.query_one("#about", Static)
        about.update(Text.assemble((f"{field.title}. ", "bold"), inert(field.about())) if field else Text())

    @on(OptionList.OptionHighlighted)
    async def _section_moved(self, event: OptionList.OptionHighlighted) -> None:
        if event.option.id and event.option.id != self._open:
            self._open = event.option.id
            await self._show_fields()

    @on(OptionList.OptionSelected)
    def _section_chosen(self) -> None:
        self.action_to_fields()

    def action_to_fields(self) -> None:
        """The first field takes the keys."""
        for control in self.query("#fields Input, #fields Choice, #fields TextArea"):
            if not control.disabled:
                control.focus()
                return

    def action_to_sections(self) -> None:
        """The sections take the keys."""
        self.query_one("#sections").focus()

    async def action_undo(self) -> None:
        """The field with the keys as it is saved."""
        field = self._field(self.focused)
        if field is not None and self.drafts.pop(field.key, None) is not None:
            await self._show_fields()
            self.query_one(f"#{_id(field.key)}").focus()
            self.draw()

    async def action_discard(self) -> None:
        """Everything as it is saved."""
        self.drafts.clear()
        self._wrong.clear()
        await self._show_fields()
        self.action_to_sections()
        self.draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Saving and undoing are offered when there is something to."""
        if action in {"save", "discard"}:
            return bool(self.drafts) and self.may_write
        if action == "test":
            return self._open in settings_test.TESTS and self.may_write
        if action == "test_object":
            return self._open == "delivery" and self.may_write
        if action in {"to_fields", "to_sections"}:
            return (self.focused is self.query_one("#sections")) == (action == "to_fields")
        if action == "undo":
            field = self._field(self.focused)
            return field is not None and field.key in self.drafts
        return super().check_action(action, parameters)

    def to_test(self) -> tuple[str, settings_test.Asked] | None:
        """The open section's word and its tests as the form stands; None, with the reason said, when it cannot be read."""
        section = next(one for one in self._sections if one.name == self._open)
        try:
            return section.name, settings_test.requests(section, self.drafts, self._view.settings.get(section.name, {}))
        except Unreadable as fault:
            self.say(f"{section.title} {fault}", bad=True)
            return None

    # Saving --------------------------------------------------------------------------------------------------------

    def action_save(self) -> None:
        """Shows what changes and what restarts, then saves."""
        change, lines = self._change()
        if not change:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._save(change)

        self.app.push_screen(Confirm("Save these settings?", "\n".join(lines), "Save", "Back"), answered)

    def _change(self) -> tuple[dict[str, dict[str, Any]], list[str]]:
        change: dict[str, dict[str, Any]] = {}
        lines: list[str] = []
        restarts: set[str] = set()
        for field in (field for section in self._sections for field in section.fields if field.key in self.drafts):
            try:
                value = field.read(self.drafts[field.key])
            except Unreadable as fault:
                self._say_wrong(field.key, str(fault))
                self.say(f"{field.title} {fault}", bad=True)
                return {}, []
            change.setdefault(field.section, {})[field.name] = value
            arrow = self.console.look.arrow
            if field.kind in {"secret", "json"}:
                lines.append(f"{field.key}: changed")
            else:
                lines.append(f"{field.key}: {self._saved(field) or '-'} {arrow} {self.drafts[field.key] or '-'}")
            restarts |= {field.restart} if field.restart else set()
        lines.append(f"\nRestart needed: {', '.join(sorted(restarts))}." if restarts else "\nNothing is restarted.")
        return change, lines

    @work(group="change", exclusive=True)
    async def _save(self, change: dict[str, dict[str, Any]]) -> None:
        headers = {"If-Match": f'"{self._view.version}"'}
        try:
            saved = await self.console.client.patch("/api/settings", SettingsSaved, change, headers=headers)
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.drafts.clear()
        self._wrong.clear()
        restart = f" Restart needed: {', '.join(saved.restart)}." if saved.restart else ""
        self.post_message(Went(f"Saved as version {saved.version}.{restart}"))

    @on(WentWrong)
    def _refused(self, message: WentWrong) -> None:
        if isinstance(message.trouble, Problem):
            for key, why in message.trouble.fields.items():
                self._say_wrong(key, why)
            if message.trouble.status == 412:
                self.reload()


def _id(key: str) -> str:
    """A widget's id for a field's key."""
    return "f-" + key.replace(".", "-").replace("_", "-")
