"""Settings of products."""

from typing import Annotated

from appliance.fields import Section, field


class ProductsSection(Section, frozen=True, kw_only=True):
    """Products"""

    default_products: Annotated[
        tuple[str, ...], field("Default products", "What runs on a study that names no product itself.", widget="products")
    ] = ("dti",)
