"""What can be done to a study and its order, from the list and from the detail."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from tui.contract import Identities, OrderView, StudyDetail, StudyRow, tail
from tui.messages import Went, WentWrong
from tui.screens.dialogs import AskMetadata, AskReason, Confirm, GivenMetadata
from tui.screens.page import Page
from tui.trouble import Trouble

MAY_REVEAL = 200
_RETRYABLE = frozenset({"QC_FAILED", "HELD", "FAILED", "CANCELLED", "EXPIRED"})
_ADMIN_ONLY = frozenset({"bypass", "force_stable", "release", "urgency"})
_ON_ROWS = frozenset({"cancel", "bypass", "metadata", "retry", "force_stable", "release", "show_status", "urgency", "priors"})


def _quarantined(row: StudyRow) -> bool:
    """The state of the study itself where it is known; a list shows that of the newest order."""
    return (row.study_state if isinstance(row, StudyDetail) else row.state) == "QUARANTINED"


class StudyActions(Page):
    """A page with studies that can be acted upon."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "show_status", "Status"),
        Binding("e", "show_qc", "QC"),
        Binding("p", "show_report", "Report"),
        Binding("x", "cancel", "Cancel"),
        Binding("b", "bypass", "Bypass QC"),
        Binding("m", "metadata", "Age, sex"),
        Binding("R", "retry", "Retry"),
        Binding("U", "urgency", "Urgent"),
        Binding("F", "force_stable", "Stable"),
        Binding("F", "release", "Release"),
        Binding("N", "priors", "Pull priors"),
    ]

    def chosen(self) -> Sequence[StudyRow]:
        """The studies that an action is about."""
        return ()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what the first chosen study's state and the user's role allow is offered; the API decides in the end."""
        if action in _ADMIN_ONLY and self.console.me.role not in {"admin", ""}:
            return False
        rows = self.chosen() if action in _ON_ROWS else ()
        match action:
            case "cancel" | "urgency":
                return any(row.order and not row.terminal for row in rows)
            case "bypass":
                return any(row.state == "QC_FAILED" for row in rows[:1])
            case "metadata":
                return any(row.state in {"QC_FAILED", "HELD"} for row in rows[:1])
            case "retry":
                admin = self.console.me.role in {"admin", ""}
                return any(row.order and (row.state in _RETRYABLE or (admin and row.delivery_failed)) for row in rows)
            case "force_stable":
                return any(row.state == "RECEIVING" for row in rows)
            case "release":
                return any(_quarantined(row) for row in rows)
            case "show_status":
                return bool(rows)
            case "priors":
                return bool(rows) and self.console.me.role in {"admin", "user", ""}
        return super().check_action(action, parameters)

    def action_priors(self) -> None:
        """Pulls the patient's other MR studies from a PACS node that is chosen."""
        from tui.screens.priors import choose_node

        for row in self.chosen()[:1]:
            choose_node(self, row.study)

    # Showing -------------------------------------------------------------------------------------------------------

    def open_study(self, study: str, tab: str = "summary") -> None:
        """Opens a study's detail on one of its tabs."""
        from tui.screens.study import StudyScreen

        self.app.push_screen(StudyScreen(study, self.mode, tab))

    def action_show_qc(self) -> None:
        """The checks with what was found and expected."""
        for row in self.chosen()[:1]:
            self.open_study(row.study, "qc")

    def action_show_report(self) -> None:
        """The report as text."""
        for row in self.chosen()[:1]:
            self.open_study(row.study, "report")

    @work(group="status", exclusive=True)
    async def action_show_status(self) -> None:
        """Where the newest order stands, in words."""
        from tui.screens.dialogs import TextDialog
        from tui.screens.study_text import order_status, study_status

        row = next(iter(self.chosen()), None)
        if row is None:
            return
        try:
            order = await self.console.client.get(f"/api/orders/{row.order}", OrderView) if row.order else None
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        text = order_status(self.console, order) if order else study_status(self.console, row)
        self.app.push_screen(TextDialog(f"Study {tail(row.study)}", text))

    def action_reveal(self) -> None:
        """Shows the chosen studies' patients for 30 seconds; the API writes it into the audit log."""
        self.reveal([row.study for row in self.chosen()])

    @work(group="reveal", exclusive=True)
    async def reveal(self, studies: list[str]) -> None:
        """Asks for identities; they are kept in memory only, and only while they are shown."""
        if not studies:
            return
        try:
            found = await self.console.client.post("/api/reveal", Identities, {"studies": studies[:MAY_REVEAL]})
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        # Somebody who went on to another page meanwhile does not see these patients there.
        if self.is_current:
            self.console.reveals.show(found.items)
            self.draw()

    # Changing ------------------------------------------------------------------------------------------------------

    def action_cancel(self) -> None:
        """Ends the orders after a question."""
        rows = [row for row in self.chosen() if row.order and not row.terminal]
        if not rows:
            return
        if len(rows) == 1:
            row = rows[0]
            title = f"Cancel order {tail(row.order)}?"
            effect = (
                f"Order {tail(row.order)} of study {tail(row.study)} ({row.word}) ends now: what is running stops "
                "and no report is made. The images stay; R starts the order again later."
            )
        else:
            title = f"Cancel {len(rows)} orders?"
            effect = f"{len(rows)} orders end now and no reports are made. The images stay; R starts an order again later."
        calls = [partial(self._post_order, row, "cancel", None) for row in rows]
        self._ask(Confirm(title, effect, "Cancel the order" if len(rows) == 1 else f"Cancel {len(rows)} orders", "Keep"), calls)

    def action_retry(self) -> None:
        """Starts ended or stopped orders again; sends again what could not be delivered."""
        calls: list[Callable[[], Awaitable[None]]] = []
        for row in self.chosen():
            if row.order and row.state in _RETRYABLE:
                calls.append(partial(self._post_order, row, "retry", None))
            elif row.order and row.delivery_failed:
                calls.append(partial(self._resend_failed, row))
        if len(calls) > 1:
            self._ask(Confirm(f"Retry {len(calls)} orders?", f"{len(calls)} orders or deliveries start again.", "Retry"), calls)
        elif calls:
            self._run(calls, "Started again")

    def action_urgency(self) -> None:
        """Puts the orders before all others; when all of them are urgent already, makes them routine again."""
        rows = [row for row in self.chosen() if row.order and not row.terminal]
        word = "routine" if all(row.priority for row in rows) else "urgent"
        calls = [partial(self._put_priority, row, word) for row in rows if bool(row.priority) == (word == "routine")]
        if calls:
            self._run(calls, f"Made {word}")

    def action_force_stable(self) -> None:
        """Takes studies for complete before the quiet time is over, after a question."""
        rows = [row for row in self.chosen() if row.state == "RECEIVING"]
        if not rows:
            return
        names = ", ".join(tail(row.study) for row in rows[:3]) + (f" and {len(rows) - 3} more" if len(rows) > 3 else "")
        effect = f"Processing of {names} starts with the instances that are here now. Later ones make a new version."
        calls = [partial(self._force_stable, row) for row in rows]
        self._ask(Confirm("Take as complete now?", effect, "Take as complete"), calls)

    def action_release(self) -> None:
        """Lets studies out of quarantine, after a question."""
        rows = [row for row in self.chosen() if _quarantined(row)]
        names = ", ".join(tail(row.study) for row in rows[:3]) + (f" and {len(rows) - 3} more" if len(rows) > 3 else "")
        effect = f"You have looked at {names} and say that it may be processed as it is. It goes on after the quiet time."
        calls = [partial(self._release, row) for row in rows]
        self._ask(Confirm("Release from quarantine?", effect, "Release"), calls)

    def action_bypass(self) -> None:
        """Lets a study through in spite of its findings, with a reason."""
        row = next(iter(self.chosen()), None)
        if row is None or not row.order:
            return

        def given(reason: object) -> None:
            if isinstance(reason, str):
                self._run([partial(self._post_order, row, "bypass", {"reason": reason})], "QC bypassed")

        self.app.push_screen(AskReason(tail(row.study)), given)

    def action_metadata(self) -> None:
        """Gives age and sex that the header lacks."""
        row = next(iter(self.chosen()), None)
        if row is None or not row.order:
            return

        def given(answer: object) -> None:
            if isinstance(answer, GivenMetadata):
                body = {key: value for key, value in (("age", answer.age), ("sex", answer.sex)) if value}
                self._run([partial(self._post_order, row, "metadata", body)], "Age and sex saved")

        self.app.push_screen(AskMetadata(tail(row.study)), given)

    async def _post_order(self, row: StudyRow, verb: str, body: object) -> None:
        await self.console.client.post(f"/api/orders/{row.order}/{verb}", dict[str, object], body)

    async def _put_priority(self, row: StudyRow, word: str) -> None:
        await self.console.client.put(f"/api/orders/{row.order}/priority", dict[str, object], {"priority": word})

    async def _resend_failed(self, row: StudyRow) -> None:
        order = await self.console.client.get(f"/api/orders/{row.order}", OrderView)
        for delivery in order.deliveries:
            if delivery.state == "FAILED":
                await self.console.client.post(f"/api/deliveries/{delivery.delivery}/resend", object)

    async def _force_stable(self, row: StudyRow) -> None:
        await self.console.client.post(f"/api/studies/{row.study}/force-stable", object)

    async def _release(self, row: StudyRow) -> None:
        await self.console.client.post(f"/api/studies/{row.study}/release", object)

    def _ask(self, question: Confirm, calls: Sequence[Callable[[], Awaitable[None]]]) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._run(calls, "Done")

        self.app.push_screen(question, answered)

    @work(group="change")
    async def _run(self, calls: Sequence[Callable[[], Awaitable[None]]], said: str) -> None:
        """Does one thing after the other; tells how many went well when not all did."""
        troubles: list[Trouble] = []
        for call in calls:
            try:
                await call()
            except Trouble as trouble:
                troubles.append(trouble)
        if troubles:
            self.post_message(WentWrong(troubles[0]))
        if len(calls) > len(troubles):
            counted = f"{said}: {len(calls) - len(troubles)} of {len(calls)}" if len(calls) > 1 else said
            self.post_message(Went(counted))
