"""Which studies the open associations of this process may still bring instances of, as rows that every process reads."""

from collections import defaultdict
from collections.abc import Sequence

from appliance.moments import new_id
from appliance.receive.inbox import Arrival
from appliance.records import studies


class Holds:
    """The activity rows of one process."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._senders: dict[str, str] = {}
        self._rows: dict[str, dict[str, str]] = defaultdict(dict)
        self._noted: list[tuple[str, str, str]] = []

    def opened(self, association: str, sender: str) -> None:
        """An association was accepted."""
        self._senders[association] = sender

    async def closed(self, association: str) -> None:
        """An association has ended and all that came by it is filed."""
        self._senders.pop(association, None)
        await studies.close_activities(list(self._rows.pop(association, {}).values()))

    def begin(self) -> None:
        """A transaction begins; what an earlier one noted and lost is forgotten."""
        self._noted.clear()

    async def note(self, study: str, arrivals: Sequence[Arrival], now: int) -> None:
        """Writes rows for associations that brought a study the first time; joins the transaction."""
        for association in {arrival.association for arrival in arrivals} & self._senders.keys():
            if study not in self._rows.get(association, {}):
                row = studies.ActivityRow(
                    id=new_id(now),
                    kind="association",
                    process=self._process,
                    study=study,
                    sender=self._senders[association],
                    opened_at=now,
                    seen_at=now,
                )
                await studies.open_activity(row)
                self._noted.append((association, study, row.id))

    def settled(self) -> None:
        """The transaction was committed."""
        for association, study, activity in self._noted:
            self._rows[association][study] = activity
        self._noted.clear()

    def associations(self) -> set[str]:
        """The associations that are open as far as was told."""
        return set(self._senders)
