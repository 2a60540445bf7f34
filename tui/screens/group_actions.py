"""What can be done to a group, from the list and from its own page: report, send, download, newer versions, remove."""

from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from tui.cohorts import FORMATS, GroupDetail, GroupLine, GroupReport, Sent
from tui.messages import Went, WentWrong
from tui.screens.dialogs import Confirm, Pick
from tui.screens.page import Page
from tui.trouble import Trouble

_TITLES = {
    "csv": "CSV, one row for each study",
    "schema": "Schema of the CSV, for programs",
    "pdf": "PDF, the page of statistics",
    "png": "PNG, the same as a picture",
}
_ON_A_GROUP = frozenset({"report", "download", "accept_versions", "remove"})


class GroupActions(Page):
    """A page with a group that can be acted upon."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("R", "report", "Report"),
        Binding("d", "download", "Download"),
        Binding("e", "accept_versions", "Accept versions"),
        Binding("x", "remove", "Remove"),
    ]

    def the_group(self) -> GroupLine | None:
        """The group that an action is about."""
        return None

    def the_report(self) -> GroupReport | None:
        """The report that is meant, where the page has one under the cursor; else the newest."""
        return None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what the group's state and the user's role allow is offered; the API decides in the end."""
        if action in _ON_A_GROUP:
            group, admin = self.the_group() if self.ready else None, self.console.me.role in {"admin", ""}
            if group is None:
                return False
            match action:
                case "report":
                    return group.studies > 0
                case "download":
                    return group.reports > 0
                case "accept_versions":
                    return admin and bool(group.newer)
                case "remove":
                    return admin and group.studies == 0
        return super().check_action(action, parameters)

    def removed(self) -> None:
        """The group is gone."""

    def action_report(self) -> None:
        """Asks whether the report is also sent; sending by hand is for administrators."""
        group = self.the_group()
        if group is None:
            return
        choices = [("make", f"Make a report of the {group.studies:,} studies as they stand now")]
        if self.console.me.role in {"admin", ""}:
            choices.append(("send", "Make it and send it to the group destinations"))
            if group.reports:
                choices.append(("again", "Send the newest report again"))

        def chosen(kind: str | None) -> None:
            if kind:
                self.say("The newest report goes out." if kind == "again" else "The report is being made.")
                self._report(group, kind)

        self.app.push_screen(Pick(f"Report of {group.group}", choices), chosen)

    @work(group="change")
    async def _report(self, group: GroupLine, kind: str) -> None:
        client = self.console.client
        try:
            if kind == "again":
                sent = await client.post(f"{group.path}/reports/newest/send", Sent)
                said = f"It goes to {sent.destinations} destinations."
                if not sent.destinations:
                    said = "It goes nowhere: Settings, Delivery has no group report destination."
            else:
                made = await client.post(f"{group.path}/reports", GroupReport, {"send": kind == "send"})
                said = f"Version {made.version}: {made.done} of {made.studies} studies have a result."
                if kind == "send":
                    said += f" It goes to {len(made.deliveries)} destinations."
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.post_message(Went(said))

    def action_download(self) -> None:
        """Saves a format of a report on the machine that runs this console."""
        from tui.screens.download import offer

        group, report = self.the_group(), self.the_report()
        if group is not None:
            name = report.report if report is not None else "newest"
            formats = report.formats if report is not None else FORMATS
            offer(self, f"{group.path}/reports/{name}", formats, _TITLES)

    def action_accept_versions(self) -> None:
        """Fixes the group to the versions that are installed now, after a question."""
        group = self.the_group()
        if group is None:
            return
        effect = "Further studies are analysed by " + _versions(group.newer)
        effect += f". The {group.studies:,} studies of the group used {_versions(group.products)}; their numbers stay."

        def answered(yes: bool | None) -> None:
            if yes:
                self._accept(group)

        self.app.push_screen(Confirm(f"Accept newer versions for {group.group}?", effect, "Accept"), answered)

    @work(group="change")
    async def _accept(self, group: GroupLine) -> None:
        try:
            found = await self.console.client.post(f"{group.path}/accept-versions", GroupDetail)
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.post_message(Went(f"{group.group} is fixed to {_versions(found.products)}."))

    def action_remove(self) -> None:
        """Takes an empty group away, after a question."""
        group = self.the_group()
        if group is None:
            return
        effect = f"It has no studies. Its {group.reports} reports go with it."

        def answered(yes: bool | None) -> None:
            if yes:
                self._remove(group)

        self.app.push_screen(Confirm(f"Remove group {group.group}?", effect, "Remove"), answered)

    @work(group="change")
    async def _remove(self, group: GroupLine) -> None:
        try:
            await self.console.client.call("DELETE", group.path)
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.post_message(Went(f"Group {group.group} is gone."))
        self.removed()


def _versions(products: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in products.items())
