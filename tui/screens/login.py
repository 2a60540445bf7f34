"""Sign in: at the start, after a session has ended, after signing out."""

from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, Static

from tui.clock import clock_time, moment
from tui.contract import Health, Me
from tui.inert import inert
from tui.messages import WentWrong
from tui.screens.fields import Fields
from tui.screens.frame import Frame, notice
from tui.sign_in import PATH, SignInWays
from tui.trouble import Problem, Trouble, Unreachable
from tui.widgets.lines import KeyLine, StatusLine

ASK_HEALTH_S = 5.0
CODE_WANTED = {"second-factor-needed", "wrong-code"}


class LoginScreen(Frame, Fields[None]):
    """User, password, what the API said, and whether the appliance is well."""

    CSS_PATH = "login.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter_field", "Sign in", priority=True),
        Binding("f2", "by_code", "Code of single sign-on", priority=True, show=False),
    ]
    KEYS = ("enter_field", "next_field", "quit")

    def __init__(self, message: str = "", *, expired: bool = False) -> None:
        super().__init__()
        self._message = message
        self._expired = expired
        self._asking = False
        self._ways = SignInWays()
        self._by_code = False

    def compose(self) -> ComposeResult:
        """The box in the middle, two lines below."""
        yield notice()
        with Vertical(id="middle"), Vertical(id="box") as box:
            box.border_title = Text("Ranvier").plain
            with Horizontal(classes="local"):
                yield Label("User")
                yield Input(compact=True, id="user", max_length=128)
            with Horizontal(classes="local"):
                yield Label("Password")
                yield Input(compact=True, id="password", password=True, max_length=1024)
            yield Static(id="message", markup=False)
            yield Static(id="service", markup=False)
        yield StatusLine(markup=False)
        yield KeyLine(markup=False)

    def on_mount(self) -> None:
        """The first field takes the keys."""
        super().on_mount()
        for field in self.query(Input):
            field.cursor_blink = False
        user = self.query_one("#user", Input)
        user.value = self.console.me.user
        self.query_one("#password" if user.value else "#user", Input).focus()
        self._tell(self._message, bad=False)
        self.query_one("#service", Static).update(Text(f"Appliance  {self.console.client.url}", "dim"))
        self._ask_health()
        self._ask_ways()
        self.set_interval(ASK_HEALTH_S, self._ask_health)

    def draw(self) -> None:
        """The lines below the box."""
        super().draw()
        console = self.console
        title = f"{console.site} {console.look.dot} Ranvier {console.version}".strip()
        self.query_one("#box").border_title = inert(title).replace("[", "(")
        self.query_one(StatusLine).show(["Access is logged. For authorised staff only."], console.look.dot)

    @work(group="health", exclusive=True)
    async def _ask_health(self) -> None:
        """Only the open part: nobody is signed in yet."""
        try:
            health = await self.console.client.get("/api/health", Health)
        except Unreachable as trouble:
            self._service(Text(f"{trouble} {trouble.next_step}", self.console.colour("X")))
            return
        except Trouble as trouble:
            self._service(Text(str(trouble), self.console.colour("!")))
            return
        look, line = self.console.look, Text()
        for part in health.parts:
            good = part.status in {"ok", "up"}
            mark = "*" if good else "!"
            glyph = look.glyph("●" if good else "▲", mark)
            line.append(f"{inert(part.name)} ")
            line.append(f"{glyph} {inert(part.status)}", self.console.colour(mark))
            line.append("   ")
        self._service(line or Text(f"Appliance {inert(health.status)}"))

    @work(group="ways", exclusive=True)
    async def _ask_ways(self) -> None:
        """Without passwords the form for them is not there (PC-38)."""
        try:
            self._ways = await self.console.client.get(PATH, SignInWays)
        except Trouble:
            return
        if self._ways.single_sign_on:
            if not self._ways.password:
                await self.action_by_code()
            elif not self._message:
                self._tell("F2: single sign-on.", bad=False)

    async def action_by_code(self) -> None:
        """One field for the code that a browser shows after single sign-on."""
        if self._by_code or not self._ways.single_sign_on:
            return
        self._by_code = True
        await self.query(".local").remove()
        await self.query("#code").remove()
        field = Input(compact=True, id="code", max_length=32)
        field.cursor_blink = False
        await self.query_one("#box").mount(Horizontal(Label("Code"), field), before="#message")
        field.focus()
        self._tell(self._ways.hint(self.console.client.url), bad=False)

    def _service(self, line: Text) -> None:
        self.query_one("#service", Static).update(line)

    def accept(self) -> None:
        """Asks the API, once at a time."""
        if self._by_code:
            code = self.query_one("#code", Input).value.strip()
            if code and not self._asking:
                self._asking = True
                self._sign_in("", "", code)
            return
        user = self.query_one("#user", Input).value.strip()
        password = self.query_one("#password", Input).value
        if self._asking:
            return
        if not user or not password:
            self._tell("Give user and password.", bad=True)
            return
        self._asking = True
        self._tell("Signing in" + self.console.look.ellipsis, bad=False)
        codes = self.query("#code").results(Input)
        self._sign_in(user, password, "".join(one.value.strip() for one in codes))

    @work(group="login", exclusive=True)
    async def _sign_in(self, user: str, password: str, code: str) -> None:
        try:
            client = self.console.client
            me = await (client.login_by_code(code) if self._by_code else client.login(user, password, code))
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self._asking = False
        self.dismiss()
        self.console.start_session(Me(user=me.user or user, role=me.role, expires_at=me.expires_at))

    @on(WentWrong)
    def _refused(self, message: WentWrong) -> None:
        self._asking = False
        trouble = message.trouble
        self._tell(refusal(trouble, self), bad=True)
        if isinstance(trouble, Problem) and trouble.code in CODE_WANTED:
            self._ask_code()
            return
        if self._by_code:
            self.query_one("#code", Input).value = ""
            return
        password = self.query_one("#password", Input)
        password.value = ""
        password.focus()

    @work(group="code", exclusive=True)
    async def _ask_code(self) -> None:
        """A third field, for accounts with a second factor."""
        if not self.query("#code"):
            field = Input(compact=True, id="code", max_length=32)
            field.cursor_blink = False
            await self.query_one("#box").mount(Horizontal(Label("Code"), field), before="#message")
        code = self.query_one("#code", Input)
        code.value = ""
        code.focus()

    def _tell(self, text: str, *, bad: bool) -> None:
        line = Text(inert(text))
        if bad:
            line = Text("! " + inert(text), self.console.colour("X"))
        self.query_one("#message", Static).update(line)


def refusal(trouble: Trouble, screen: Frame) -> str:
    """What a refused sign-in says: tries left, locked until when, or that nobody answers."""
    if isinstance(trouble, Problem):
        until = trouble.locked_until
        if trouble.code == "locked" and isinstance(until, str):
            at = moment(until)
            if at is not None:
                when = clock_time(at, screen.console.place)
                return f"This account is locked until {when} after too many tries."
        return trouble.what
    return f"{trouble} {trouble.next_step}"
