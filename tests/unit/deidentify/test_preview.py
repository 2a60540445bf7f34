from pathlib import Path

from appliance.deidentify.preview import preview
from tests.unit.deidentify.planted import a_request, an_instance


def test_a_preview_says_attribute_by_attribute_what_would_happen_and_writes_nothing(tmp_path: Path) -> None:
    """DEID-09: before and after for a chosen profile, without anything leaving."""
    files = [an_instance(tmp_path / "in" / f"{number}.dcm", number=number) for number in (1, 2)]
    lines = {line.place: line for line in preview(a_request(files, tmp_path / "out"))}
    assert (lines["(0010,0010)"].before or "").startswith("Wolkenstein") and lines["(0010,0010)"].after == ""
    assert lines["(0008,0080)"].after is None and lines["(0008,0080)"].action == "remove"
    assert "REMOVED" in (lines["(0008,103E)"].after or "") and lines["(0008,103E)"].reason
    assert lines["(0008,0020)"].after not in ("20240311", "", None)
    assert lines["(0008,1140)[0](0010,0010)"].after is not lines["(0008,1140)[0](0010,0010)"].before
    assert {line.instance for line in lines.values()} == {"instance-0000"}
    assert not (tmp_path / "out").exists()


def test_another_profile_gives_another_preview(tmp_path: Path) -> None:
    file = an_instance(tmp_path / "in.dcm")
    shifted, removed = (
        {line.place: line.after for line in preview(a_request([file], tmp_path / "out", profile=profile))}
        for profile in ("safe-harbor-shifted", "safe-harbor")
    )
    assert shifted["(0008,0021)"] and removed["(0008,0021)"] is None
