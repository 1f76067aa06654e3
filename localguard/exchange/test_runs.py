"""Whether a command runs tests, and whether what came back says that they passed.

An exit code counts where the tests are the last thing that the command does; else the runner's own last words do. What says neither is
unknown, never guessed.
"""

import re

# A model says what stands here, and nothing ends a search of Python's `re`: everything that repeats is possessive, and of what may follow
# each other nothing can be read in two ways.
_PATH = r"(?: [\w.~$@{}+-]*+ / )*+"
_SET = r"(?: \w++=\S*+ \s++ )*+"
_BEFORE = rf"""
    (?: ^ | [;&|(\n] ) [^\S\n]*+
    {_SET}
    (?: (?: sudo | time | nice | env | npx | bunx | timeout\s++\S++ | xvfb-run(?:\s++-a)? | (?:uv|poetry|pdm|hatch|pipenv|rye|pixi)\s++run
          | bundle\s++exec | (?:pnpm|yarn)\s++(?:exec|dlx) | {_PATH} python[\d.]*+\s++-m | {_PATH} (?:ba|z|da)?sh\s++-\w*c
        ) \s++ {_SET} ["']? )*+
    {_PATH}
"""
"""What may stand before a program that is started."""
_RUNNERS = r"""
    (?: pytest | py\.test | tox | nox | nosetests | unittest | jest | vitest | mocha | ava | jasmine | rspec | phpunit | pest | ctest | behave
      | cucumber | busted | bats | gotestsum | elm-test
      | (?:npm|pnpm|yarn|bun|deno|composer|just|task) \s++ (?:(?:run|-\S++(?:\s++(?!test|run\s)[^-\s]\S*+)?)\s++)*+ test[\w:.-]*
      | npm \s++ t
      | cargo \s++ (?:\+\S++\s++)? (?:test|nextest)
      | (?:go|dotnet|swift|mix|bazel|bazelisk|sbt|lein|stack|cabal|flutter|dart|meson|ninja|rails|rake|zig\s++build) \s++ (?:test|spec)
      | make \s++ (?:-\S++\s++)*+ (?:test|tests|check)
      | (?:gradle|gradlew|mvn|mvnw) \s++ (?:\S++\s++)*? (?:test|check|verify)
      | node \s++ --test
      | python[\d.]*+ \s++ (?:\S*/)? (?:manage\.py\s++test | runtests\.py)
    ) (?= [\s"';&|)] | $ )
"""
_TESTS = re.compile(_BEFORE + _RUNNERS, re.VERBOSE)
_MASKED = re.compile(r"[;|\n]\s*+(?!$)|\|\|")
"""After the runner: something else ends the command, and the exit code is that one's. `&&` keeps a failure, and may add another."""
_LONGEST = 4_000
_END = 4_000
"""Characters of a command, and of the end of a result, that are looked at."""
_EXIT = re.compile(r"^(?:Process exited with code|[Ee]xit[ _]code:?) (-?\d{1,10})\s*$", re.MULTILINE)
_HEAD = 400
"""Characters of a result's beginning in which an agent says the exit code."""
_FAILED = re.compile(
    r"\b[1-9]\d* (?:failed|failing|failures?|errors?)\b|(?:failures|errors)[=:] ?[1-9]|^test result: FAILED|^FAIL(?:ED)?\b|BUILD FAILURE|BUILD FAILED",
    re.MULTILINE | re.IGNORECASE,
)
_PASSED = re.compile(
    r"\b[1-9]\d* (?:passed|passing)\b|^test result: ok\.|^ok\s+\S+\s+(?:\d|\(cached)|^OK(?: \(|$)|BUILD SUCCESS|\b0 failures\b|^100% tests passed",
    re.MULTILINE,
)


def runs_tests(command: str) -> bool:
    """Whether a command line starts a test runner."""
    return _TESTS.search(command[:_LONGEST]) is not None


def exit_code(text: str) -> int | None:
    """The exit code that a result states in the words of an agent, None where it states none."""
    found = _EXIT.search(text[:_HEAD])
    return int(found[1]) if found is not None else None


def passed(command: str, code: int | None, text: str) -> bool | None:
    """Whether the tests that `command` ran passed, by its exit code (None: not known) and its output; None where nobody says."""
    found = _TESTS.search(command[:_LONGEST])
    after = command[found.end() :] if found is not None else ";"
    if code is not None and not _MASKED.search(after) and (code == 0 or "&&" not in after):
        return code == 0
    end = text[-_END:]
    if _FAILED.search(end):
        return False
    return True if _PASSED.search(end) else None
