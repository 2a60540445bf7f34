"""Settings of processing."""

from typing import Annotated, Literal

from appliance.fields import AeTitle, Section, field


class ComputeSection(Section, frozen=True, kw_only=True):
    """Processing"""

    mode: Annotated[
        Literal["local", "cloud", "hub"],
        field(
            "Processing mode",
            "Where products run: on this appliance, in the cloud, or on a hub. Stays as it is while orders are open.",
            recommended="local",
        ),
    ] = "local"
    workers: Annotated[
        int, field("Orders at once", "How many orders are worked on at the same time.", ge=1, le=64, restart="work")
    ] = 1
    cores: Annotated[
        int, field("Cores per order", "0 leaves the choice to the product.", ge=0, le=256, applies_when="compute.mode=local")
    ] = 0
    memory_mb: Annotated[
        int,
        field(
            "Memory per order",
            "0 leaves the choice to the product.",
            unit="MB",
            ge=0,
            le=1_048_576,
            applies_when="compute.mode=local",
        ),
    ] = 0
    limits: Annotated[
        bool,
        field(
            "Enforce core and memory limits",
            "Off: only the number of orders at once is limited.",
            applies_when="compute.mode=local",
        ),
    ] = True
    attempts: Annotated[
        int, field("Attempts", "How often a stage that crashed is tried before its study is put aside.", ge=1, le=10)
    ] = 3
    paused: Annotated[
        bool, field("Paused", "No further stage is started; what runs is finished, and studies are still received.")
    ] = False
    urgent_callers: Annotated[
        tuple[AeTitle, ...], field("Urgent senders", "Studies from these calling AE titles go before all others.")
    ] = ()
    urgent_descriptions: Annotated[
        tuple[Annotated[str, field("", min_length=2, max_length=64)], ...],
        field("Urgent descriptions", "Studies whose Study Description (0008,1030) contains one of these go before all others."),
    ] = ()
    urgent_tag: Annotated[
        bool,
        field(
            "Urgent by tag",
            "Studies whose Requested Procedure Priority (0040,1003) is STAT or HIGH go before all others.",
        ),
    ] = True
    scheduler: Annotated[
        str,
        field(
            "Cluster",
            "Address of a Dask scheduler on which products run; empty runs them here. Home folder and database must be shared.",
            recommended="tls://cluster.example.org:8786",
            pattern=r"^(?!\n)$|^(tls|tcp)://[A-Za-z0-9._\-\[\]:]{1,253}:[0-9]{1,5}(?!\n)$",
        ),
    ] = ""
    scheduler_ca: Annotated[
        str, field("Cluster's CA", "File with the certificate that signed the cluster's.", max_length=4096)
    ] = ""
    scheduler_certificate: Annotated[
        str, field("Certificate for the cluster", "File with this appliance's certificate.", max_length=4096)
    ] = ""
    scheduler_key: Annotated[str, field("Key for the cluster", "File with the key of that certificate.", max_length=4096)] = ""
