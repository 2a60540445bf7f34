"""What a monitoring system reads: the appliance in numbers, in Prometheus' text form; no label names a patient."""

import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import msgspec

from appliance.records.processes import Process

if TYPE_CHECKING:
    from prometheus_client import Metric


class Numbers(msgspec.Struct, kw_only=True, frozen=True):
    """What the records and the storage say at one moment."""

    site: str
    now: int
    studies: Mapping[str, int]
    orders: Mapping[str, int]
    deliveries: Mapping[str, int]
    waiting: int
    running: int
    urgent: int
    expected_s: float | None
    processes: Sequence[Process]
    free_bytes: int
    total_bytes: int
    days_until_full: float | None
    paused: Mapping[str, bool]
    unsettled_pulls: int


def text(numbers: Numbers) -> bytes:
    """The page that a scrape gets."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Once(Collector):
        def collect(self) -> Iterable["Metric"]:
            yield from _appliance(numbers)
            yield from _work(numbers)
            yield from _machine()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return generate_latest(registry)


def _appliance(numbers: Numbers) -> Iterable["Metric"]:
    from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

    about = {"version": version("ranvier"), "site": numbers.site, "python": platform.python_version()}
    yield InfoMetricFamily("ranvier", "This appliance.", about)
    up = GaugeMetricFamily("ranvier_process_up", "Whether a process gives signs of life.", labels=["kind"])
    begun = GaugeMetricFamily("ranvier_process_start_time_seconds", "When a process began, Unix time.", labels=["kind"])
    newest = {one.kind: one for one in sorted(numbers.processes, key=lambda one: one.started_at)}
    for kind, one in sorted(newest.items()):
        alive = any(other.alive(numbers.now) for other in numbers.processes if other.kind == kind)
        up.add_metric([kind], float(alive))
        begun.add_metric([kind], one.started_at / 1000)
    yield from (up, begun)
    paused = GaugeMetricFamily("ranvier_paused", "Whether somebody has paused it.", labels=["part"])
    for part, value in sorted(numbers.paused.items()):
        paused.add_metric([part], float(value))
    yield paused
    yield GaugeMetricFamily("ranvier_disk_free_bytes", "Room on the data disk.", value=numbers.free_bytes)
    yield GaugeMetricFamily("ranvier_disk_size_bytes", "Size of the data disk.", value=numbers.total_bytes)
    if numbers.days_until_full is not None:
        yield GaugeMetricFamily("ranvier_disk_full_days", "Days until it is full, as it went.", value=numbers.days_until_full)


def _work(numbers: Numbers) -> Iterable["Metric"]:
    from prometheus_client.core import GaugeMetricFamily

    for name, words, by_state in (
        ("ranvier_studies", "Studies by state.", numbers.studies),
        ("ranvier_orders", "Orders by state.", numbers.orders),
        ("ranvier_deliveries", "Deliveries by state.", numbers.deliveries),
    ):
        family = GaugeMetricFamily(name, words, labels=["state"])
        for state, count in sorted(by_state.items()):
            family.add_metric([state], count)
        yield family
    yield GaugeMetricFamily("ranvier_queue_waiting", "Orders that wait for a worker.", value=numbers.waiting)
    yield GaugeMetricFamily("ranvier_queue_running", "Orders that are worked on.", value=numbers.running)
    yield GaugeMetricFamily("ranvier_queue_urgent", "Urgent ones among those that wait.", value=numbers.urgent)
    if numbers.expected_s is not None:
        words = "Seconds until the queue is empty, from measured stages."
        yield GaugeMetricFamily("ranvier_queue_expected_seconds", words, value=numbers.expected_s)
    yield GaugeMetricFamily("ranvier_pulls_open", "Pulls from PACS nodes that have not ended.", value=numbers.unsettled_pulls)


def _machine() -> Iterable["Metric"]:
    import psutil
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    memory, load = psutil.virtual_memory(), psutil.getloadavg()
    yield GaugeMetricFamily("ranvier_machine_cores", "Processor cores.", value=psutil.cpu_count() or 1)
    yield GaugeMetricFamily("ranvier_machine_load1", "Load of the last minute.", value=load[0])
    yield CounterMetricFamily("ranvier_machine_cpu_seconds", "Processor time spent.", value=sum(psutil.cpu_times()[:3]))
    yield GaugeMetricFamily("ranvier_machine_memory_bytes", "Memory.", value=memory.total)
    yield GaugeMetricFamily("ranvier_machine_memory_available_bytes", "Memory that can be had.", value=memory.available)
    yield GaugeMetricFamily("ranvier_machine_swap_used_bytes", "Swap in use.", value=psutil.swap_memory().used)
    disk = psutil.disk_io_counters()
    if disk is not None:
        yield CounterMetricFamily("ranvier_machine_disk_read_bytes", "Read from disks.", value=disk.read_bytes)
        yield CounterMetricFamily("ranvier_machine_disk_written_bytes", "Written to disks.", value=disk.write_bytes)
