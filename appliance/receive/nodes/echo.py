"""C-ECHO as SCU (PS3.4 annex A): the test of a PACS node."""

from pynetdicom.presentation import build_context

from appliance.probe import Probe
from appliance.receive.nodes.association import NodeAway, NodeRefuses, associated
from appliance.receive.nodes.find import FIND
from appliance.receive.section import PacsNode

VERIFICATION = "1.2.840.10008.1.1"


def echo(node: PacsNode) -> Probe:
    """Asks a node for C-ECHO (PS3.4 annex A) and says whether it takes queries; nothing is stored."""
    try:
        with associated(node, [build_context(VERIFICATION), build_context(FIND)]) as association:
            taken = {str(one.abstract_syntax) for one in association.accepted_contexts}
            lines = [f"{node.called_ae} accepted the association."]
            echoed = VERIFICATION in taken and getattr(association.send_c_echo(), "Status", None) == 0x0000
    except (NodeAway, NodeRefuses) as refused:
        return Probe(ok=False, lines=[refused.what])
    except (ValueError, RuntimeError):
        return Probe(ok=False, lines=["It ended the association before it answered the echo."])
    lines.append("C-ECHO succeeded." if echoed else "C-ECHO was not answered with success.")
    lines.append("It takes queries (Study Root)." if FIND in taken else "It takes no queries of the Study Root model.")
    return Probe(ok=echoed and FIND in taken, lines=lines)
