"""Names by a language model: a tiny one is trained here, and found at exact bytes behind text of any script."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from localguard.detect.names_engine import NamesEngine, NamesModelMissing
from localguard.detect.scanner import Scanner

FIRST = ["Jona", "Mirela", "Tavik", "Osune", "Belira", "Karsten", "Nadim", "Ylva"]
LAST = ["Hofstra", "Brandel", "Okari", "Lindqvo", "Marchetta", "Sundber"]
PATTERNS = ["please ask {} about it", "{} wrote this", "talk to {} tomorrow", "the review by {} is done"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    import spacy
    from spacy.training import Example

    rng = random.Random(1)
    spacy.util.fix_random_seed(1)  # type: ignore[attr-defined]
    nlp = spacy.blank("en")
    nlp.add_pipe("ner").add_label("PERSON")  # type: ignore[attr-defined]
    examples = []
    for _ in range(120):
        name = f"{rng.choice(FIRST)} {rng.choice(LAST)}"
        text = rng.choice(PATTERNS).format(name)
        start = text.index(name)
        entities = {"entities": [(start, start + len(name), "PERSON")]}
        examples.append(Example.from_dict(nlp.make_doc(text), entities))
    plain = ["the build is green", "Run the tests first", "open the file and read it"]
    examples += [Example.from_dict(nlp.make_doc(text), {"entities": []}) for text in plain * 5]
    nlp.initialize(lambda: examples)
    for _ in range(20):
        rng.shuffle(examples)
        nlp.update(examples)
    place: Path = tmp_path_factory.mktemp("model")
    nlp.to_disk(place)
    return str(place)


def names(model: str, text: str) -> list[tuple[str, str]]:
    raw = text.encode()
    return [(f.type, raw[f.start : f.end].decode()) for f in Scanner([], [NamesEngine(model)]).scan(raw)]


def test_a_name_is_found_at_its_exact_bytes(model: str) -> None:
    assert names(model, "später ✓\nplease ask Mirela Okari about it") == [("PERSON", "Mirela Okari")]


def test_long_texts_are_read_in_runs_and_offsets_hold(model: str) -> None:
    text = "the build is green ✓\n" * 600 + "talk to Tavik Brandel tomorrow\n" + "open the file and read it " * 400
    assert ("PERSON", "Tavik Brandel") in names(model, text)


def test_text_without_a_capital_letter_is_not_shown_to_the_model(model: str) -> None:
    assert Scanner([], [NamesEngine(model)]).candidates(b"please ask jona hofstra about it") == []


def test_a_model_that_is_not_there_is_told_and_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(NamesModelMissing, match="no language model"):
        NamesEngine("en_core_web_sm").load()
    (tmp_path / "config.cfg").write_text("broken")
    with pytest.raises(NamesModelMissing, match="cannot be loaded"):
        NamesEngine(str(tmp_path)).load()


def test_presidio_is_imported_without_spacy_until_a_model_needs_it(model: str) -> None:
    program = """
import sys
from localguard.detect.names_engine import NamesEngine
from localguard.detect.presidio_engine import PresidioEngine
from localguard.detect.scanner import Scanner

mail = b"write to team@northmill.io\\n"
scanner = Scanner([], [PresidioEngine()])
found = scanner.scan(mail)
assert [one.type for one in found] == ["EMAIL"], found
assert not {"spacy", "thinc", "numpy"} & set(sys.modules)
import spacy  # somebody else's import of it changes nothing
both = Scanner([], [PresidioEngine(), NamesEngine(sys.argv[1])])
found_by_both = both.scan(mail + b"please ask Mirela Okari about it")
assert [one.type for one in found_by_both] == ["EMAIL", "PERSON"], found_by_both
assert scanner.scan(mail) == found
"""
    done = subprocess.run([sys.executable, "-c", program, model], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
