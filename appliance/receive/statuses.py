"""What a C-STORE is answered (PS3.4 Table B.2-1 and PS3.7 Annex C)."""

from typing import Final

from appliance.receive.header import is_uid

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
OUT_OF_RESOURCES: Final = 0xA700
DOES_NOT_MATCH_SOP_CLASS: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000


def status_against(announced: tuple[str, str], found: tuple[str, str]) -> int:
    """The status for SOP class and instance of the command set and of the data set, disk permitting."""
    if not all(is_uid(one) for one in announced) or not all(found):
        return CANNOT_UNDERSTAND
    return SUCCESS if announced == found else DOES_NOT_MATCH_SOP_CLASS
