"""The machine's readings, and when one is told: hysteresis keeps a value at its threshold from being told all the time."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

STEADY = 3
"""So many readings in a row beyond a threshold, or back behind it, before anything is told."""
MARGIN = 5
"""Percentage points behind the threshold from which a reading counts as recovered."""
DISK_MARGIN = 2


class Readings(NamedTuple):
    """Percent of processor, memory and swap in use, and of the data disk that is free."""

    cpu: float
    memory: float
    swap: float
    disk_free: float


class Change(NamedTuple):
    """A metric went over its threshold, or is well again."""

    metric: str
    high: bool
    percent: int
    threshold: int


def read(home: Path) -> Readings:
    """What the machine says now; the processor's is since the call before."""
    import psutil

    disk = psutil.disk_usage(str(home))
    return Readings(
        cpu=psutil.cpu_percent(interval=None),
        memory=psutil.virtual_memory().percent,
        swap=psutil.swap_memory().percent,
        disk_free=100.0 * disk.free / disk.total if disk.total else 100.0,
    )


@dataclass(slots=True)
class _Metric:
    high: bool = False
    beyond: int = 0
    told_at: int = 0


@dataclass(slots=True)
class Watch:
    """What has been told of each metric."""

    metrics: dict[str, _Metric] = field(default_factory=dict)

    def changes(self, readings: Readings, thresholds: Readings, now: int, repeat_ms: int) -> list[Change]:
        """What is to be told of these readings; one that stays high is told again after `repeat_ms`."""
        found = []
        for metric, value, threshold, low in (
            ("CPU", readings.cpu, thresholds.cpu, False),
            ("Memory", readings.memory, thresholds.memory, False),
            ("Swap", readings.swap, thresholds.swap, False),
            ("Free disk space", readings.disk_free, thresholds.disk_free, True),
        ):
            one = self.metrics.setdefault(metric, _Metric())
            over = value < threshold if low else value >= threshold
            well = value >= threshold + DISK_MARGIN if low else value < max(threshold - MARGIN, threshold / 2)
            one.beyond = one.beyond + 1 if (well if one.high else over) else 0
            if one.beyond >= STEADY:
                one.high, one.beyond, one.told_at = not one.high, 0, now
                found.append(Change(metric, one.high, round(value), round(threshold)))
            elif one.high and over and now - one.told_at >= repeat_ms:
                one.told_at = now
                found.append(Change(metric, True, round(value), round(threshold)))
        return found
