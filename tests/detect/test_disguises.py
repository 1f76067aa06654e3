"""The README's table of disguises is what the detectors do."""

from pathlib import Path

from localguard.detect.scanner import Scanner
from tests.detect.disguises import table

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_says_which_disguises_are_seen_through(scanner: Scanner) -> None:
    _, _, behind = README.read_text("utf-8").partition("<!-- disguises: ")
    printed = behind.partition("-->\n")[2].partition("\n\n")[0]
    assert printed == table(scanner)
