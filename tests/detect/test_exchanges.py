"""Values below the line that announces them: the gate that asks for the next lines too opens wherever the reader finds one."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from localguard.detect.exchanges import _ANNOUNCING, _SHORT, GATES, below
from localguard.detect.rules import compile_pattern
from localguard.detect.scanner import Scanner

_GATE = compile_pattern(GATES["structured/below"][0].encode())
_HEAD = compile_pattern(f"(?:{_ANNOUNCING}|{_SHORT})(?m:$)".encode())
_heads = st.sampled_from(
    [
        "password:",
        "Password",
        "the token ->",
        "> pwd：",
        "bob: what is the password?",
        "api key = ",
        "- Secret:",
        "[10:02] eva: pw:",
    ]
)
_leads = st.sampled_from(["", " ", "- ", "> * ", "\u00a0", "• ", "bob: ", "it's ", "[9:14] bob: the pin is ", "\t"])
_marks = st.sampled_from(["", "`", '"', "**", "'"])
_words = st.one_of(
    st.from_regex(r"[A-Za-z0-9!@#$%^&*+?~=_.:/|,;-]{2,24}", fullmatch=True),
    st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=2, max_size=20),
    st.sampled_from(
        [
            "deploy",
            "KEY=Falcon-77x",
            "copper-lantern-violet-otter",
            "qzxvkjwqhgfdplmnbvcx",
            "OLipDIkk",
            "a9f8&user=[bob]",
        ]
    ),
)
_tails = st.sampled_from(["", ".", ",", " (old)", "(staging)", " ", "\r"])
_lines = st.one_of(
    st.sampled_from(["", " ", "```", "~~~text", "\u2003", "\r"]),
    st.builds(lambda lead, mark, word, tail: lead + mark + word + mark + tail, _leads, _marks, _words, _tails),
)


@settings(max_examples=600)
@given(_heads, st.lists(_lines, min_size=1, max_size=6))
def test_whatever_is_read_below_a_line_has_its_gate_open(head: str, lines: list[str]) -> None:
    block = "\n".join([head, *lines])
    if _HEAD.search(head.encode()) is not None and list(below(block)):
        found = _GATE.search(block.encode())
        assert found is not None
        assert found.start() <= len(head.encode())


def test_a_word_of_a_program_below_a_line_of_one_opens_nothing() -> None:
    for text in (
        "    except KeyError:\n        pass\n\n\ndef next(self):\n",
        "if token:\n    return\nfor key in keys:\n    self.assertEqual(a, b)\n",
    ):
        assert _GATE.search(text.encode()) is None
        assert _HEAD.search(text.encode()) is not None


def test_strings_that_no_other_continues_open_nothing(scanner: Scanner) -> None:
    def opened(text: str) -> bool:
        return any("encoded/joined" in window.gates for window in scanner.candidates(text.encode()))

    assert not opened('parser.add_argument("--something",\n                    help="the name of something"\n)\n')
    assert opened('key = ("something_drawn"\n       "something_else")\n')
    assert opened("key = something_drawn\\\nsomething_else\n")


def test_the_readers_words_for_space_and_letters_are_bytes_of_the_gate() -> None:
    space = re.compile(r"\s")
    wide = compile_pattern(rb"[^\n!-~]+")
    for code in range(0x3100):
        if space.match(chr(code)) and chr(code) != "\n":
            assert wide.fullmatch(chr(code).encode()) is not None
