"""The other studies of a study's patient, from a PACS node."""

from typing import TYPE_CHECKING

from tui.contract import tail
from tui.messages import Went, WentWrong
from tui.pacs import NodeView, PullList
from tui.screens.dialogs import Confirm, Pick
from tui.trouble import Trouble

if TYPE_CHECKING:
    from tui.screens.page import Page

MODALITY = "MR"


def choose_node(page: "Page", study: str) -> None:
    """Asks which node holds the priors, and pulls from it."""
    page.run_worker(_choose(page, study), group="priors", exclusive=True)


def ask_priors(page: "Page", study: str, node: NodeView) -> None:
    """Pulls the priors from one node, after a question."""
    effect = (
        f"{node.name} is asked for the other {MODALITY} studies of the patient of study {tail(study)}. Those that are not here "
        "yet come and are processed as any other study."
    )

    def answered(yes: bool | None) -> None:
        if yes:
            page.run_worker(_pull(page, study, node.name), group="priors", exclusive=True)

    page.app.push_screen(Confirm("Pull the patient's other studies?", effect, "Pull"), answered)


async def _choose(page: "Page", study: str) -> None:
    try:
        nodes = await page.console.client.get("/api/nodes", list[NodeView])
    except Trouble as trouble:
        page.post_message(WentWrong(trouble))
        return
    if not nodes:
        page.say("There is no PACS node. Settings, PACS nodes, enters one.", bad=True)
        return

    def chosen(name: str | None) -> None:
        if name:
            page.run_worker(_pull(page, study, name), group="priors", exclusive=True)

    page.app.push_screen(Pick(f"Other {MODALITY} studies from", [(one.name, one.name) for one in nodes]), chosen)


async def _pull(page: "Page", study: str, node: str) -> None:
    body = {"node": node, "modality": MODALITY}
    try:
        asked = await page.console.client.post(f"/api/studies/{study}/priors", PullList, body)
    except Trouble as trouble:
        page.post_message(WentWrong(trouble))
        return
    count = len(asked.items)
    none = f"{node} holds no other {MODALITY} study of this patient that is not here."
    some = f"{node} is asked for {count} {'study' if count == 1 else 'studies'}; PACS nodes shows how far it is."
    page.post_message(Went(some if count else none))
