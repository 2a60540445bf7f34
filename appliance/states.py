"""The states of studies, orders, product runs and deliveries, and the moves between them, as tables.

An unknown move raises `IllegalMove`; the store refuses it as well, because `pipeline.advance` updates a row only where the
old state still holds. Console words, filter words and cloud words are columns here and nowhere else.
"""

from dataclasses import dataclass
from enum import StrEnum

from appliance.errors import Conflict


class StudyState(StrEnum):
    """Where a study stands in receiving."""

    RECEIVING = "RECEIVING"
    STABLE = "STABLE"
    QUARANTINED = "QUARANTINED"


class OrderState(StrEnum):
    """Where an order stands on its way to a delivered report."""

    QC = "QC"
    QC_FAILED = "QC_FAILED"
    QUEUED = "QUEUED"
    HELD = "HELD"
    DEIDENTIFIED = "DEIDENTIFIED"
    UPLOADING = "UPLOADING"
    PROCESSING = "PROCESSING"
    PROCESSED = "PROCESSED"
    REPORTED = "REPORTED"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


class RunState(StrEnum):
    """Where one product's run on an order stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class DeliveryState(StrEnum):
    """Where one report stands on its way to one destination."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    SENT = "SENT"
    SENT_WITH_WARNING = "SENT_WITH_WARNING"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a state knows about itself."""

    word: str
    """What the console shows."""
    filter_word: str
    """What a user types after `status:`."""
    glyph: str
    """One character before the word; the second is for plain terminals."""
    plain_glyph: str
    cloud: str
    """The same state in the cloud's words (family B); empty where the cloud has none."""
    terminal: bool = False
    retryable: bool = False
    needs_person: bool = False
    active: bool = False


STUDY_FACTS: dict[StudyState, Facts] = {
    StudyState.RECEIVING: Facts("Receiving", "receiving", "○", "o", "", active=True),
    StudyState.STABLE: Facts("Stable", "stable", "◔", ".", ""),
    StudyState.QUARANTINED: Facts("Quarantined", "quarantined", "▲", "!", "", needs_person=True),
}

ORDER_FACTS: dict[OrderState, Facts] = {
    OrderState.QC: Facts("QC", "qc", "?", "?", "CREATED", active=True),
    OrderState.QC_FAILED: Facts("QC failed", "qc_failed", "✖", "X", "CREATED", needs_person=True, retryable=True),
    OrderState.QUEUED: Facts("Queued", "queued", "◌", ".", "PENDING", active=True),
    OrderState.HELD: Facts("Held", "held", "▲", "!", "PENDING", needs_person=True, retryable=True),
    OrderState.DEIDENTIFIED: Facts("De-identified", "deidentified", "◌", ".", "PENDING", active=True),
    OrderState.UPLOADING: Facts("Uploading", "uploading", "↑", "^", "UPLOADING", active=True),
    OrderState.PROCESSING: Facts("Processing", "processing", "◐", "~", "DX_STARTED", active=True),
    OrderState.PROCESSED: Facts("Processed", "processed", "◐", "~", "DX_STARTED", active=True),
    OrderState.REPORTED: Facts("Reported", "reported", "●", "*", "DELIVERED", active=True),
    OrderState.DELIVERED: Facts("Delivered", "delivered", "●", "*", "DELIVERED", terminal=True),
    OrderState.FAILED: Facts("Failed", "failed", "✖", "X", "FAILED", terminal=True, retryable=True),
    OrderState.CANCELLED: Facts("Cancelled", "cancelled", "⌧", "-", "CANCELLED", terminal=True, retryable=True),
    OrderState.EXPIRED: Facts("Expired", "expired", "⌧", "-", "EXPIRED", terminal=True, retryable=True),
}

DELIVERY_FACTS: dict[DeliveryState, Facts] = {
    DeliveryState.PENDING: Facts("Waiting", "waiting", "◌", ".", "Pending", active=True),
    DeliveryState.SENDING: Facts("Sending", "sending", "↑", "^", "Pending", active=True),
    DeliveryState.SENT: Facts("Sent", "sent", "●", "*", "Delivered", terminal=True),
    DeliveryState.SENT_WITH_WARNING: Facts("Sent, warning", "sent_warning", "●", "*", "Delivered", terminal=True),
    DeliveryState.FAILED: Facts(
        "Delivery failed", "delivery_failed", "▲", "!", "Failed", terminal=True, retryable=True, needs_person=True
    ),
}

_STUDY_MOVES: dict[StudyState, frozenset[StudyState]] = {
    StudyState.RECEIVING: frozenset({StudyState.STABLE, StudyState.QUARANTINED}),
    StudyState.STABLE: frozenset({StudyState.RECEIVING, StudyState.QUARANTINED}),
    StudyState.QUARANTINED: frozenset({StudyState.RECEIVING}),
}

_END = frozenset({OrderState.FAILED, OrderState.CANCELLED, OrderState.EXPIRED})
_AGAIN = frozenset({OrderState.QC, OrderState.QUEUED})

_ORDER_MOVES: dict[OrderState, frozenset[OrderState]] = {
    OrderState.QC: frozenset({OrderState.QUEUED, OrderState.QC_FAILED, OrderState.HELD}) | _END,
    OrderState.QC_FAILED: _AGAIN | _END,
    OrderState.QUEUED: frozenset({OrderState.DEIDENTIFIED, OrderState.HELD}) | _END,
    OrderState.HELD: _AGAIN | _END,
    OrderState.DEIDENTIFIED: frozenset({OrderState.UPLOADING, OrderState.PROCESSING, OrderState.HELD}) | _END,
    OrderState.UPLOADING: frozenset({OrderState.PROCESSING, OrderState.DEIDENTIFIED, OrderState.HELD}) | _END,
    OrderState.PROCESSING: frozenset({OrderState.PROCESSED, OrderState.HELD}) | _END,
    OrderState.PROCESSED: frozenset({OrderState.REPORTED, OrderState.HELD}) | _END,
    OrderState.REPORTED: frozenset({OrderState.DELIVERED, OrderState.CANCELLED}),
    OrderState.DELIVERED: frozenset({OrderState.REPORTED}),
    OrderState.FAILED: _AGAIN,
    OrderState.CANCELLED: _AGAIN,
    OrderState.EXPIRED: _AGAIN,
}

_DELIVERY_MOVES: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.PENDING: frozenset({DeliveryState.SENDING, DeliveryState.FAILED}),
    DeliveryState.SENDING: frozenset(
        {DeliveryState.SENT, DeliveryState.SENT_WITH_WARNING, DeliveryState.PENDING, DeliveryState.FAILED}
    ),
    DeliveryState.SENT: frozenset({DeliveryState.PENDING}),
    DeliveryState.SENT_WITH_WARNING: frozenset({DeliveryState.PENDING}),
    DeliveryState.FAILED: frozenset({DeliveryState.PENDING}),
}

SETTLED = frozenset({DeliveryState.SENT, DeliveryState.SENT_WITH_WARNING})


class IllegalMove(Conflict):
    """A {thing} in state {old} cannot become {new}."""

    code = "illegal-move"


def check_study_move(old: StudyState, new: StudyState) -> None:
    """Raise `IllegalMove` unless a study may go from `old` to `new`."""
    if new not in _STUDY_MOVES[old]:
        raise IllegalMove(thing="study", old=old, new=new)


def check_order_move(old: OrderState, new: OrderState) -> None:
    """Raise `IllegalMove` unless an order may go from `old` to `new`."""
    if new not in _ORDER_MOVES[old]:
        raise IllegalMove(thing="order", old=old, new=new)


def check_delivery_move(old: DeliveryState, new: DeliveryState) -> None:
    """Raise `IllegalMove` unless a delivery may go from `old` to `new`."""
    if new not in _DELIVERY_MOVES[old]:
        raise IllegalMove(thing="delivery", old=old, new=new)


def order_moves() -> dict[OrderState, frozenset[OrderState]]:
    """The order table, for the diagram in the documentation."""
    return dict(_ORDER_MOVES)
