"""Every check of the images, in the order in which a report shows them.

To add one: a file with `NAME`, `TITLE`, `PICTURE` (what its picture shows), a docstring that is its documentation, and `judge`;
its limits in `thresholds.toml`; then one entry here.
"""

import inspect

from appliance.qc.images import coverage, dropout, gradient_table, gradient_tags, interleave, motion, noise, slices
from appliance.qc.images.check import ImageCheck

_MODULES = (slices, interleave, dropout, motion, noise, coverage, gradient_table, gradient_tags)

IMAGE_CHECKS: tuple[ImageCheck, ...] = tuple(
    ImageCheck(module.NAME, module.TITLE, inspect.cleandoc(module.__doc__ or ""), module.judge, module.PICTURE)
    for module in _MODULES
)
