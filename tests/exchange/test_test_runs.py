"""Which commands run tests, and what their end says."""

import time

import pytest

from localguard.exchange.test_runs import passed, runs_tests

RUN = """
pytest
pytest -q tests/unit
python -m pytest -x
.venv/bin/python -m pytest tests
.venv/bin/pytest -k "a or b"
uv run pytest
poetry run tox -e py311
CI=1 npx vitest run
npm test
npm run test:unit
yarn test
pnpm --filter web test
cargo test --workspace
cargo +nightly nextest run
go test ./...
cd src && go test ./...
make -j4 check
./gradlew clean test
mvn -q verify
dotnet test
bundle exec rspec
bash -lc 'pytest -q'
timeout 60 pytest -q
git stash; pytest
node --test
python manage.py test shop
"""
NO_RUN = """
cat tests/test_shop.py
pip install pytest
git checkout test
echo pytest-cov
grep -rn pytest .
npm install jest
ls test
make
cargo build
vim pytest.ini
git commit -m "run pytest"
"""


@pytest.mark.parametrize("command", RUN.strip().split("\n"))
def test_a_test_runner_is_recognised(command: str) -> None:
    assert runs_tests(command)


@pytest.mark.parametrize("command", NO_RUN.strip().split("\n"))
def test_another_command_is_none(command: str) -> None:
    assert not runs_tests(command)


@pytest.mark.parametrize(
    ("command", "code", "text", "expected"),
    [
        ("pytest", 0, "2 failed", True),
        ("pytest", 1, "", False),
        ("pytest | tail", 0, "1 failed, 2 passed in 0.1s", False),
        ("pytest | tail", 0, "2 passed in 0.1s", True),
        ("pytest | tail", 0, "", None),
        ("pytest || true", 0, "", None),
        ("pytest && mypy", 1, "5 passed", True),
        ("pytest && mypy", 0, "", True),
        ("pytest", None, "=== 1 error in 0.1s ===", False),
        ("cargo test", None, "test result: ok. 3 passed; 0 failed; 0 ignored", True),
        ("cargo test", None, "test result: FAILED. 3 passed; 1 failed", False),
        ("go test ./...", None, "ok  \texample.com/a\t0.012s", True),
        ("go test ./...", None, "--- FAIL: TestA\nFAIL\texample.com/a\t0.01s", False),
        ("npx jest", None, "Tests:       1 failed, 2 passed, 3 total", False),
        ("mvn test", None, "Tests run: 4, Failures: 0, Errors: 0\n[INFO] BUILD SUCCESS", True),
        ("python -m unittest", None, "Ran 3 tests in 0.0s\n\nOK", True),
        ("python -m unittest", None, "Ran 3 tests in 0.0s\n\nFAILED (failures=1)", False),
        ("rspec", None, "7 examples, 0 failures", True),
        ("make test", None, "", None),
    ],
)
def test_the_exit_code_counts_where_it_is_the_tests_and_the_runners_words_else(
    command: str, code: int | None, text: str, expected: bool | None
) -> None:
    assert passed(command, code, text) is expected


def test_hostile_commands_take_no_time() -> None:
    for text in ("a=1 " * 5_000, "env " * 5_000, "npm test" * 3_000, "gradle " + "a " * 5_000, "npm " + "run " * 5_000):
        assert runs_tests(text) in (True, False)


@pytest.mark.parametrize(
    "command",
    [
        "npm " + "-a run " * 500,
        "npm " + "run -a " * 500,
        "\n" * 4000,
        "\n " * 2000,
        "(a/" * 1300,
        "a/" * 2000,
        "sudo a=b " * 440,
        "timeout " * 500,
        "\nmvn x" * 650,
        "make " + "-j " * 1300,
        "sh -c " * 650,
        "pytest" + "\n" * 3990,
        "pytest" + ";" * 3990,
    ],
    ids=lambda command: repr(command[:12]),
)
def test_no_command_that_a_model_writes_holds_a_request_up(command: str) -> None:
    began = time.process_time()
    runs_tests(command)
    passed(command, 0, "")
    assert time.process_time() - began < 0.1
