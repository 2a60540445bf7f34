"""Settings of processing."""

from typing import Annotated, Literal

from appliance.fields import Section, field


class ComputeSection(Section, frozen=True, kw_only=True):
    """Processing"""

    mode: Annotated[
        Literal["local", "cloud", "hub"],
        field("Processing mode", "local: products run on this appliance.", recommended="local"),
    ] = "local"
    workers: Annotated[
        int, field("Orders at once", "How many orders are worked on at the same time.", ge=1, le=64, restart="work")
    ] = 1
    cores: Annotated[int, field("Cores per order", "0 leaves the choice to the product.", ge=0, le=256)] = 0
    memory_mb: Annotated[
        int, field("Memory per order", "0 leaves the choice to the product.", unit="MB", ge=0, le=1_048_576)
    ] = 0
    limits: Annotated[bool, field("Enforce core and memory limits", "Off: only the number of orders at once is limited.")] = (
        True
    )
    attempts: Annotated[int, field("Attempts", "How often a stage that died is tried.", ge=1, le=10)] = 3
