"""What can be set: one field a section, and the JSON Schema that API, console, wizard and documentation are made from."""

from typing import Annotated, Any, get_type_hints

import msgspec

from appliance.access.section import AccessSection, SamlSection
from appliance.cloud.section import CloudSection
from appliance.compute.section import ComputeSection
from appliance.deidentify.section import DeidentifySection
from appliance.delivery.section import DeliverySection
from appliance.fields import Section, field, schema_hook
from appliance.groups.section import GroupsSection
from appliance.hub.section import HubSection
from appliance.notify.section import NotifySection
from appliance.portal.section import PortalSection
from appliance.products.section import ProductsSection
from appliance.qc.section import QcSection
from appliance.receive.section import DropsSection, NodesSection, ReceiveSection, UploadsSection
from appliance.reports.section import ReportsSection
from appliance.scan.section import ScanSection
from appliance.upkeep.section import (
    AuditSection,
    HeartbeatSection,
    LogsSection,
    MetricsSection,
    RetentionSection,
    SchedulerSection,
)


class SiteSection(Section, frozen=True, kw_only=True):
    """Site"""

    name: Annotated[str, field("Site name", "Shown in the console and on reports.", max_length=64)] = "ranvier"
    time_zone: Annotated[
        str, field("Time zone", "IANA name; the console shows times in it.", pattern=r"^[A-Za-z0-9_+\-/]{1,64}(?!\n)$")
    ] = "UTC"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an operator can set. Sections with secrets are made anew: a JSON Schema cannot hold one as a default."""

    site: SiteSection = SiteSection()
    receive: ReceiveSection = ReceiveSection()
    nodes: NodesSection = NodesSection()
    drops: DropsSection = DropsSection()
    uploads: UploadsSection = UploadsSection()
    portal: PortalSection = PortalSection()
    scan: ScanSection = ScanSection()
    qc: QcSection = QcSection()
    deidentify: DeidentifySection = DeidentifySection()
    products: ProductsSection = ProductsSection()
    compute: ComputeSection = ComputeSection()
    cloud: CloudSection = msgspec.field(default_factory=CloudSection)
    hub: HubSection = HubSection()
    heartbeat: HeartbeatSection = HeartbeatSection()
    groups: GroupsSection = GroupsSection()
    reports: ReportsSection = ReportsSection()
    delivery: DeliverySection = DeliverySection()
    notify: NotifySection = msgspec.field(default_factory=NotifySection)
    access: AccessSection = AccessSection()
    saml: SamlSection = SamlSection()
    scheduler: SchedulerSection = SchedulerSection()
    retention: RetentionSection = RetentionSection()
    logs: LogsSection = LogsSection()
    metrics: MetricsSection = MetricsSection()
    audit: AuditSection = AuditSection()


def schema() -> dict[str, Any]:
    """JSON Schema of all settings."""
    return msgspec.json.schema(Settings, schema_hook=schema_hook)


def section_types() -> dict[str, type[Section]]:
    """Section name -> its struct."""
    return dict(get_type_hints(Settings))
