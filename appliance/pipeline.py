"""The corridor: which step serves which state; advance, open, cancel, bypass, retry.

`advance` is the only writer of an order's state. It changes the row where the old state and the lease still hold, writes what
belongs to the move and the event, all in one transaction; then the world may see it. `appliance.worker` claims orders and runs
their steps; people act through the functions below, each of which the caller writes into the audit.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec

from appliance import analysis, audit, remote, reporting, settings, sought, steps, wishes
from appliance.errors import Conflict, Misconfigured, RanvierError
from appliance.events import (
    Event,
    GradientRepairAgreed,
    MetadataGiven,
    OrderCancelled,
    OrderMoved,
    OrderNotOpened,
    OrderOpened,
    PriorityGiven,
    QcBypassed,
)
from appliance.groups import rules
from appliance.house import House
from appliance.moments import new_id
from appliance.products import catalogue
from appliance.qc.finding import Origin, QcReport
from appliance.records import deliveries, events, groups, orders, studies
from appliance.records.orders import OrderRow
from appliance.records.tables import Order
from appliance.states import ORDER_FACTS, OrderState, RunState, StudyState, check_order_move
from appliance.steps import Move, Work
from appliance.storage import remove_folder

AGE = re.compile(r"\d{1,3}[YMWD]?|90\+")
SEXES = {"M": "M", "MALE": "M", "F": "F", "FEMALE": "F", "O": "O", "OTHER": "O"}

ROUTINE, URGENT = wishes.ROUTINE, wishes.URGENT

Step = Callable[[Work], Awaitable[Move]]

STEPS: dict[OrderState, Step] = {
    OrderState.QC: steps.check,
    OrderState.QUEUED: steps.deidentify,
    OrderState.DEIDENTIFIED: analysis.begin,
    OrderState.UPLOADING: remote.upload,
    OrderState.PROCESSING: analysis.process,
    OrderState.PROCESSED: reporting.report,
    OrderState.FAILED: reporting.failure_report,
}
"""One step for each state in which the appliance itself has something to do; FAILED only until its failure report is made."""


class StudyNotReady(Conflict):
    """The study is {state}; an order needs a complete one."""

    code = "study-not-ready"
    next_step = "Wait until it is stable, or force it."


class NotNow(Conflict):
    """An order in state {state} cannot be {action}."""

    code = "not-now"


class ReasonMissing(Misconfigured):
    """A bypass needs a reason of at least five characters."""

    code = "reason-missing"
    next_step = "Say why this study may go on; the reason stands in the report and in the audit."


class NothingToRepair(Conflict):
    """Quality control proposes no repair of a gradient table for this order."""

    code = "nothing-to-repair"
    next_step = "Read the finding on the gradient table; only flipped or exchanged axes can be repaired."


class MetadataRefused(Misconfigured):
    """This is not a usable {name}."""

    code = "metadata-refused"
    next_step = "Age as 63, 063Y, 18M, 6W or 90+; sex as M or F."


class ProductUnknown(Misconfigured):
    """No product {product} is installed."""

    code = "product-not-installed"
    next_step = "Choose one of those that Settings, Products lists."


class ProductNotHere(Misconfigured):
    """Product {product} does not run in processing mode {mode}."""

    code = "product-not-in-this-mode"
    next_step = "Choose a product that Settings, Products offers, or change the processing mode."


_NOT_OPENED = frozenset(
    one.code for one in (ProductUnknown, ProductNotHere, rules.GroupVersionsDiffer, rules.GroupProductsDiffer)
)
"""Reasons of studies that got no order."""


async def advance(house: House, row: OrderRow, move: Move, *, now: int) -> None:
    """Makes one move true: state, columns, further rows and events in one transaction; raises `LeaseLost` or `IllegalMove`."""
    if move.to is not row.state:
        check_order_move(row.state, move.to)
        if row.state is OrderState.PROCESSING:
            # Before the move: whatever dies in between costs a run its head start, and leaves nothing lying about.
            await asyncio.to_thread(remove_folder, house.storage.kept(row.id))
    async with house.records.transaction():
        await orders.move(house.records, row, move.to, now=now, changes={"failures": 0, **move.changes})
        if move.writes is not None:
            await move.writes()
        for event in move.events:
            await events.append(event, now)
        if move.to is not row.state:
            await events.append(OrderMoved(study=row.study, order=row.id, old=row.state, new=move.to), now)


async def open_order(
    house: House,
    study: str,
    *,
    actor: str,
    now: int,
    products: Sequence[str] = (),
    priority: int = 0,
    idempotency_key: str = "",
    qc_report: QcReport | None = None,
) -> str:
    """Starts work on a study and gives the order's id; the same idempotency key gives the same order.

    `qc_report` is an earlier order's, whose agreed repairs the new one takes over. Raises `Unknown`, `StudyNotReady`,
    `ProductUnknown`, `GroupProductsDiffer` or `GroupVersionsDiffer`.
    """
    now_set = (await house.settings()).settings
    asked = list(products) or await wishes.products(house, study, now_set.receive)
    group, to_run = await _group_and_products(house, now_set, study, asked, now)
    order = new_id(now)
    async with house.records.transaction():
        # The study's row is locked first, so that two openers with one key meet here.
        await studies.lock(house.records, study)
        existing = await orders.by_idempotency_key(idempotency_key)
        if existing is not None:
            return existing.id
        found = await studies.get(study)
        if found.state is not StudyState.STABLE:
            raise StudyNotReady(state=found.state)
        urgency = max(priority, found.priority, await wishes.urgency(house, found, now_set.compute))
        await orders.add(
            Order(
                id=order,
                study=study,
                study_version=found.version,
                state=str(OrderState.QC),
                products=",".join(to_run),
                priority=urgency,
                group_name=group,
                owner=actor,
                idempotency_key=idempotency_key,
                **(qc_report.columns if qc_report else {}),
                created_at=now,
                updated_at=now,
            )
        )
        await _settled(house, found, group, now)
        await events.append(OrderOpened(study=study, order=order, products=", ".join(to_run) or "no known product"), now)
    return order


async def _settled(house: House, study: studies.StudyRow, group: str, now: int) -> None:
    """What an opened order says of its study: it is in this group, and nothing keeps it from an order any more."""
    if group != study.group_name:
        await groups.put(house.records, study.id, group, now)
    if study.reason in _NOT_OPENED:
        await studies.give_reason(house.records, study.id, "")


async def _group_and_products(
    house: House, now_set: settings.Settings, study: str, asked: list[str] | None, now: int
) -> tuple[str, list[str]]:
    """The group of a study's next order, and its products: those of the group if it has one (GRP-01).

    A study without a group joins the one of the settings, which is made for the default products when it is not there yet,
    unless other products are asked for.
    """
    # What a tag asks for in vain is never the default: the order is opened without products, and fails saying so.
    wanted = [] if asked is None else asked
    versions = {name: manifest.version for name, manifest in catalogue(house.home).items()}
    own = await groups.find((await studies.get(study)).group_name)
    if own is not None and asked is not None:
        return own.name, chosen(house, now_set, rules.check_products(own.name, own.products, wanted, versions))
    joins = now_set.groups.auto_assign
    if own is None and joins and asked is not None:
        found = await groups.find(joins)
        if found is None:
            kept = rules.pinned(chosen(house, now_set, []), versions)
            found = await groups.create(house.records, joins, products=kept, actor="settings", now=now)
        if not wanted or set(wanted) == set(rules.unpinned(found.products)):
            return found.name, chosen(house, now_set, rules.check_products(joins, found.products, wanted, versions))
    return "", [] if asked is None else chosen(house, now_set, wanted)


def chosen(house: House, now_set: settings.Settings, products: Sequence[str]) -> list[str]:
    """The products that were asked for, or the default ones; raises `ProductUnknown` or `ProductNotHere`."""
    named = list(products) or list(now_set.products.default_products)
    installed = catalogue(house.home)
    for product in named:
        if product not in installed:
            raise ProductUnknown(field="products", product=product[:40])
        if now_set.compute.mode not in installed[product].runs_on:
            raise ProductNotHere(field="products", product=product, mode=now_set.compute.mode)
    return named


async def open_due_orders(house: House, *, now: int) -> list[str]:
    """Opens the orders of studies that became stable and have none for their version yet, as the settings say."""
    receive = (await house.settings()).settings.receive
    if not receive.open_orders:
        return []
    opened = []
    for study in await studies.without_order(house.records):
        if study.version > 1 and receive.late_instances != "always":
            continue
        key = f"{study.id}/v{study.version}"
        try:
            opened.append(await open_order(house, study.id, actor="appliance", now=now, idempotency_key=key))
            came = f"{study.instances} instances, version {study.version}"
            await audit.append(study.sender or study.origin, "study.received", study.id, "done", study.address, now, came)
        except (Misconfigured, rules.GroupProductsDiffer) as error:
            await _say_not_opened(house, study.id, error, now)
    return opened


async def _say_not_opened(house: House, study: str, error: RanvierError, now: int) -> None:
    """Once for each reason: it is tried every half second, and opens the order as soon as the settings fit."""
    async with house.records.transaction():
        if await studies.give_reason(house.records, study, error.code):
            await events.append(OrderNotOpened(study=study, code=error.code, what=error.what), now)


def cancelled(row: OrderRow, actor: str) -> Move:
    """The move of a cancelled order."""
    event = OrderCancelled(study=row.study, order=row.id, actor=actor)
    return Move(OrderState.CANCELLED, [event], {"cancel_asked": False})


async def cancel(house: House, order: str, *, actor: str, now: int) -> None:
    """Ends an order at any point; the worker that has it in hand stops within two seconds. Raises `NotNow`."""
    row = await orders.get(order)
    if ORDER_FACTS[row.state].terminal:
        raise NotNow(state=row.state, action="cancelled")
    if row.worker:
        await orders.ask_cancel(house.records, order)
        return
    await advance(house, row, cancelled(row, actor), now=now)


async def bypass(house: House, order: str, *, actor: str, reason: str, now: int) -> None:
    """Lets an order past a failed QC; the reason is printed. Raises `NotNow`, `ReasonMissing`, `ReasonNamesPatient`."""
    row = await orders.get(order)
    if row.state is not OrderState.QC_FAILED:
        raise NotNow(state=row.state, action="let past QC")
    if len(reason.strip()) < 5:
        raise ReasonMissing(field="reason")
    await sought.refuse_named(house, row.study, reason)
    event = QcBypassed(study=row.study, order=row.id, actor=actor)
    changes = {"bypass_by": actor, "bypass_reason": reason.strip()[:500]}
    await advance(house, row, Move(OrderState.QUEUED, [event], changes), now=now)


async def repair_gradients(house: House, order: str, *, actor: str, now: int) -> str:
    """A person's consent to the proposed repair of gradient tables; QC runs again and says what was done.

    Gives the order that carries the repair: this one, or a new one on the same study where this one has its report already.
    The images as received are never touched: the repaired table is used for the analysis alone. Raises `NotNow`,
    `NothingToRepair`.
    """
    row = await orders.get(order)
    reported = row.state in (OrderState.REPORTED, OrderState.DELIVERED)
    if not reported and row.state not in (OrderState.QC_FAILED, OrderState.HELD, OrderState.FAILED):
        raise NotNow(state=row.state, action="repaired")
    report = msgspec.json.decode(row.qc_report, type=QcReport) if row.qc_report else None
    if report is None or not any(not one.consent for one in report.repairs):
        raise NothingToRepair()
    agreed = [msgspec.structs.replace(one, consent=one.consent or actor) for one in report.repairs]
    series = ", ".join(f"series {one.number}" for one in agreed)
    kept = msgspec.structs.replace(report, repairs=agreed)
    carrier = order
    if reported:
        carrier = await open_order(house, row.study, actor=actor, now=now, products=row.product_list, qc_report=kept)
    words = "; ".join(one.words for one in agreed)
    event: Event = GradientRepairAgreed(study=row.study, order=carrier, actor=actor, series=series, change=words)
    if reported:
        async with house.records.transaction():
            await events.append(event, now)
    else:
        changes: dict[str, Any] = {**kept.columns, "qc_verdict": "", "bypass_by": ""}
        await advance(house, row, Move(OrderState.QC, [event], changes), now=now)
    return carrier


async def give_metadata(house: House, order: str, *, actor: str, now: int, age: str = "", sex: str = "") -> None:
    """Takes age or sex from a person and runs QC again. Raises `NotNow`, `MetadataRefused`."""
    row = await orders.get(order)
    if row.state not in (OrderState.QC_FAILED, OrderState.HELD, OrderState.FAILED):
        raise NotNow(state=row.state, action="given metadata")
    given = _checked_metadata(age, sex)
    metadata = msgspec.json.decode(row.metadata or "{}", type=dict[str, Origin])
    metadata |= {name: Origin(value=value, origin="form") for name, value in given.items()}
    event: Event = MetadataGiven(study=row.study, order=row.id, fields=" and ".join(given), actor=actor)
    changes: dict[str, Any] = {"metadata": msgspec.json.encode(metadata).decode(), "qc_verdict": "", "bypass_by": ""}
    await advance(house, row, Move(OrderState.QC, [event], changes), now=now)


def _checked_metadata(age: str, sex: str) -> dict[str, str]:
    given: dict[str, str] = {}
    if age.strip():
        if not AGE.fullmatch(age.strip().upper()):
            raise MetadataRefused(field="age", name="age")
        given["age"] = age.strip().upper()
    if sex.strip():
        word = sex.strip().upper()
        if word not in SEXES:
            raise MetadataRefused(field="sex", name="sex")
        given["sex"] = SEXES[word]
    if not given:
        raise MetadataRefused(field="age", name="age or sex")
    return given


async def retry(house: House, order: str, *, actor: str, now: int) -> None:
    """Takes an ended or held order up again from QC (from de-identification after a bypass). Raises `NotNow`."""
    row = await orders.get(order)
    if not ORDER_FACTS[row.state].retryable:
        raise NotNow(state=row.state, action="tried again")
    target = OrderState.QUEUED if row.bypass_by else OrderState.QC

    async def writes() -> None:
        for run in await orders.runs(order):
            if run.state is not RunState.DONE:
                await orders.change_run(run.id, {"state": str(RunState.PENDING), "code": "", "detail": ""})

    changes = {"cancel_asked": False, "delivery_failed": False, "owner": actor}
    await advance(house, row, Move(target, [], changes, writes), now=now)


async def set_priority(house: House, order: str, *, priority: int, actor: str, now: int) -> None:
    """Makes an order routine or urgent; one that is in hand is finished first. Raises `NotNow` for one that has ended."""
    row = await orders.get(order)
    if ORDER_FACTS[row.state].terminal:
        raise NotNow(state=row.state, action="given another priority")
    async with house.records.transaction():
        await orders.set_priority(house.records, order, priority, now=now)
        word = "urgent" if priority >= URGENT else "routine"
        await events.append(PriorityGiven(study=row.study, order=order, priority=word, actor=actor), now)


Pausable = Literal["receive", "compute", "delivery"]
"""Sections whose work can be paused: no new associations, no further stage, no further delivery."""


async def set_paused(house: House, paused: bool, *, actor: str, now: int, section: Pausable = "compute") -> None:
    """Starts nothing more of one kind, or goes on; raises `SettingsStale` when somebody saves settings at the same moment."""
    loaded = await house.settings()
    if getattr(loaded.settings, section).paused != paused:
        wanted, changed = settings.patched(loaded.settings, {section: {"paused": paused}})
        await house.save(wanted, based_on=loaded.version, actor=actor, now=now, changed=changed)


async def resend(house: House, delivery: str, *, actor: str, now: int) -> None:
    """Sends a report to one destination again, with three new attempts; a group's report has no order."""
    row = await deliveries.get(delivery)
    order = await orders.get(row.order) if row.order else None
    async with house.records.transaction():
        await deliveries.send_again(house.records, delivery, now=now)
        if order is not None:
            await reopen_delivery(house, order, now=now)


async def reopen_delivery(house: House, order: OrderRow, *, now: int) -> None:
    """Something of this order is to be delivered again, or besides; joins the transaction that is open."""
    if order.state is OrderState.DELIVERED:
        await orders.move(house.records, order, OrderState.REPORTED, now=now, changes={})
        await events.append(OrderMoved(study=order.study, order=order.id, old=order.state, new=OrderState.REPORTED), now)
    else:
        await orders.clear_delivery_failed(house.records, order.id)
