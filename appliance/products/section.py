"""Settings of products."""

from typing import Annotated

from appliance.fields import Section, field


class ProductsSection(Section, frozen=True, kw_only=True):
    """Products"""

    default_products: Annotated[
        tuple[str, ...], field("Default products", "What runs on a study that names no product itself.", widget="products")
    ] = ("dti",)
    single_shell_index: Annotated[
        bool,
        field(
            "Free-water index for one shell",
            "For dti-fw, with one b-value: the index at fixed tissue MD; its assumption stands in the report.",
        ),
    ] = False
