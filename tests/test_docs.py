"""Every example in the documents runs, and says what it says there."""

import doctest
from pathlib import Path

import pytest

import tinygrad_sm as tg

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_examples(document):
    tg.manual_seed(0)  # as in a program of its own
    results = doctest.testfile(str(ROOT / document), module_relative=False)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_links_lead_somewhere(document):
    text = (ROOT / document).read_text()
    targets = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert all((ROOT / target).exists() for target in targets if "://" not in target), targets


def test_architecture_names_every_file_of_the_lower_floors():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    files = [path for floor in ("nd", "graph") for path in (ROOT / "tinygrad_sm" / floor).glob("*.py")]
    missing = [path.name for path in files if path.name != "__init__.py" and f"`{path.name}`" not in text]
    assert not missing
