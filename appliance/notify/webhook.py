"""Notices as JSON to an endpoint of the site: one POST, signed where a key is set."""

import time
from http import HTTPStatus

from appliance.asking import SIGNATURE, NoAnswer, ask, signature
from appliance.errors import Misconfigured
from appliance.moments import iso, new_id, now_ms
from appliance.notify.letter import Letter, Line, Told
from appliance.notify.section import NotifySection
from appliance.probe import TEST_S, Probe


async def probe(section: NotifySection) -> Probe:
    """Posts one notice that says it is a test."""
    line = Line(
        event="metric-recovered", title="Test", severity="info", at=iso(now_ms()), text="This is a test of the notifications."
    )
    told = await send(section, Letter(id=f"test-{new_id()}", site="test", lines=[line]))
    return Probe(ok=told.ok, lines=[told.words])


async def send(section: NotifySection, letter: Letter) -> Told:
    """Posts one message; 2xx and 409 have taken it, 408, 425, 429 and 5xx are worth another attempt, as is no answer."""
    if not section.webhook_url:
        return Told(ok=False, again=False, words="The webhook has no URL.")
    body = letter.body()
    headers = {"Content-Type": "application/json", "Idempotency-Key": letter.id, "User-Agent": "ranvier"}
    if section.webhook_key:
        headers[SIGNATURE] = signature(section.webhook_key.reveal(), body, int(time.time()))
    try:
        answer = await ask(
            "POST",
            section.webhook_url,
            allow_local=section.own_machine,
            authority=section.authority,
            timeout_s=TEST_S,
            field="webhook_url",
            content=body,
            headers=headers,
        )
    except NoAnswer as fault:
        return Told(ok=False, again=True, words=f"{fault.facts['why']}.")
    except Misconfigured as error:
        return Told(ok=False, again=False, words=error.what)
    taken = 200 <= answer.status < 300 or answer.status == HTTPStatus.CONFLICT
    again = answer.status in (408, 425, 429) or answer.status >= 500
    return Told(ok=taken, again=again and not taken, words=f"The webhook answered HTTP {answer.status}.")
