"""Study and series are named as the product's instructions for use ask.

Compared without regard to case and white space. The series description chooses the series; where the product asks for
none, every description will do. What stands in the header is not repeated, because it may hold a name.
"""

from appliance.qc.check import Judgement
from appliance.qc.finding import Verdict
from appliance.qc.protocol import Protocol
from appliance.qc.study import Series

NAME, TITLE = "descriptions", "Study and series descriptions"


def plain(text: str) -> str:
    """A description as it is compared."""
    return "".join(text.split()).casefold()


def judge(series: Series, protocol: Protocol) -> Judgement:
    """The descriptions of one series and of its study."""
    asked = (
        ("study", protocol.study_description, series.study_descriptions),
        ("series", protocol.series_description, (series.description,)),
    )
    rules = [(what, wanted, found) for what, wanted, found in asked if wanted]
    if not rules:
        return Judgement(Verdict.NOT_APPLICABLE, "The product asks for no particular description", "any description")
    wrong = [what for what, wanted, found in rules if {plain(one) for one in found} != {plain(wanted)}]
    told = ", ".join(f"{what} description {'differs' if what in wrong else 'matches'}" for what, _, _ in rules)
    return Judgement(
        Verdict.FAILED if wrong else Verdict.PASSED,
        told,
        ", ".join(f"{what} description '{wanted}'" for what, wanted, _ in rules),
        f"Choose the protocol with this {' and '.join(wrong)} description on the scanner, or rename it there." if wrong else "",
    )
