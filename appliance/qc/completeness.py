"""Everything that the source of the study holds is here.

For studies that were pulled from a configured PACS node, or sent by one whose setting asks for it: when a study goes quiet, the
node is asked which instances each series holds. Says "312 of 312" where all came. Where some are missing it warns or fails, as
the node's setting says; a node that could not be asked is a warning. Studies of other senders: nobody was asked.
"""

from appliance.qc.check import Given
from appliance.qc.finding import COMPLETENESS, Finding, Verdict
from appliance.qc.protocol import Protocols
from appliance.qc.study import HeaderStudy

NAME, TITLE = COMPLETENESS, "Complete as at the source"
_EXPECTED = "every instance that the source holds"
_PULL = "Pull the study again from the PACS node, or send the missing images again; bypass when the rest is enough."


def check(study: HeaderStudy, _protocols: Protocols, _given: Given) -> Finding:
    """What the source said when the study went quiet."""
    said = study.source
    if said is None:
        return _finding(Verdict.NOT_APPLICABLE, "no PACS node was asked about this study")
    if said.expected is None:
        return _finding(Verdict.WARNING, f"{said.node} could not tell: {said.detail}", "Test the PACS node in the settings.")
    words = f"{said.held} of {said.expected} instances that {said.node} holds"
    words += f" ({said.detail})" if said.detail else ""
    share = 100.0 * said.held / said.expected if said.expected else 100.0
    if said.held >= said.expected:
        return _finding(Verdict.PASSED, words, figure=share)
    return _finding(Verdict.FAILED if said.holds else Verdict.WARNING, words, _PULL, figure=share)


def _finding(verdict: Verdict, found: str, action: str = "", *, figure: float | None = None) -> Finding:
    unit = "" if figure is None else "%"
    return Finding(
        check=NAME, title=TITLE, verdict=verdict, found=found, expected=_EXPECTED, action=action, figure=figure, unit=unit
    )
