"""The documents say what the code does."""

import re

import pytest

from tests import matrix
from tests.house import tables
from tests.house.tree import ROOT, files_of_the_project, name_of
from tests.receiving import STEPS

README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(tables.PAGES))
def test_a_generated_page_is_as_the_code_has_it(name: str) -> None:
    """If this fails: python -m tests.house.tables --write."""
    assert (tables.DOCS / name).read_text() == tables.page(name)


def test_the_readmes_tables_are_as_the_code_has_them() -> None:
    for name in tables.IN_README:
        assert f"<!-- table: {name} -->" in README
    assert tables.readme_with_tables(README) == README


def test_every_link_inside_the_documents_leads_somewhere() -> None:
    broken = []
    for path in files_of_the_project():
        if path.suffix == ".md":
            for target in re.findall(r"\]\((?!https?:|mailto:|#|/)([^)#\s]+)", path.read_text()):
                if not (path.parent / target).exists():
                    broken.append(f"{name_of(path)}: {target}")
    assert not broken


def test_the_readme_starts_with_what_a_newcomer_types() -> None:
    assert README.index("./init.sh --demo") < 3000


def test_every_word_the_readme_tells_a_user_to_type_exists() -> None:
    from appliance.__main__ import HOUSE_WORDS

    typed = set(re.findall(r"^(?:\s*\$ )?(?:\.venv/bin/)?ranvier ([a-z]+)", README, re.MULTILINE))
    assert "init" in typed
    assert {word for word in typed if word in HOUSE_WORDS} >= {"init", "serve"}


def test_the_changelog_names_the_version_in_the_making() -> None:
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()


def test_the_crash_matrix_has_a_line_for_each_step_of_receiving_and_nothing_is_lost_in_any() -> None:
    """REC-04: the lines are written, and compared, by the tests that bring the faults about."""
    lines = matrix.rows()
    faults = [line.split(" | ")[0].removeprefix("| ") for line in lines]
    assert faults == sorted(set(faults))
    assert {f"kill -9 {step}" for step in STEPS} <= set(faults)
    assert all(line.endswith("| 0 |") for line in lines)
