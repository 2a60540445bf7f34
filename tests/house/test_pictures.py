"""The pictures that the README shows are those that the tests made."""

from tests.house.pictures import PICTURES, ROOT, SCREENS, screen


def test_the_screens_of_the_readme_are_the_snapshots_of_the_console() -> None:
    for name in SCREENS:
        file = PICTURES / f"{name}.svg"
        assert file.read_text(encoding="utf-8") == screen(name), "python -m tests.house.pictures --write"
        assert "http" not in screen(name).replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_every_picture_of_the_readme_is_there_and_shown() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in (*(f"{one}.svg" for one in SCREENS), "report.png"):
        assert (PICTURES / name).stat().st_size > 1000
        assert f"appliance/docs/pictures/{name}" in readme
