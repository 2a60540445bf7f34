"""What stands where a list would stand: nothing yet, or something went wrong."""

from rich.text import Text
from textual.widgets import Static

from tui.inert import inert
from tui.trouble import Problem, Trouble


class EmptyState(Static):
    """Says that there is nothing, what brings something, and which key helps."""

    def show(self, title: str, hint: str = "", key: str = "") -> None:
        """Draws the three lines."""
        text = Text(inert(title), "bold", justify="center")
        for line in (hint, key):
            if line:
                text.append("\n\n" if line is hint else "\n", "")
                text.append(inert(line, lines=True), "dim")
        self.update(text)


class ErrorState(Static):
    """Says what went wrong, why, and what to do next."""

    def show(self, trouble: Trouble) -> None:
        """Draws the trouble."""
        text = Text(justify="center")
        text.append(inert(trouble.what), "bold")
        if trouble.why:
            text.append("\n\n" + inert(trouble.why, lines=True))
        if trouble.next_step:
            text.append("\n\nNext: ", "bold")
            text.append(inert(trouble.next_step, lines=True))
        if isinstance(trouble, Problem) and trouble.request_id:
            text.append("\n\nRequest " + inert(trouble.request_id), "dim")
        self.update(text)
