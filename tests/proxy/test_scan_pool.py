"""The pool of scanner processes: answers, deadlines, crashes, and what must not happen to the daemon."""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio

from localguard.config.rule_files import read_rules
from localguard.detect.finding import Window
from localguard.detect.rules import RuleInvalid
from localguard.detect.samples import expand
from localguard.detect.scanner import Scanner
from localguard.proxy import scan_pool
from localguard.proxy.scan_pool import ScannerFailed, ScanPool, ScanTimeout
from localguard.proxy.scan_worker import Budget

Answer = TypeVar("Answer")
LINUX = sys.platform == "linux"


def planted(template: str = "password = '{password}'") -> bytes:
    return expand(template, random.Random(template)).text


@pytest_asyncio.fixture(loop_scope="function")
async def pool() -> AsyncIterator[ScanPool]:
    made = ScanPool(deadline=20.0)
    await made.start()
    yield made
    await made.close()


def pid_of(pool: ScanPool) -> int:
    process = pool._workers[0]._process
    assert process is not None
    return int(process.pid)


async def test_each_text_gets_its_own_findings_in_order(pool: ScanPool) -> None:
    texts = [b"nothing here", planted(), b"", planted("x {word:6}@{word:6}.io"), "ü ".encode() + planted()]
    results = await pool.scan(texts)
    assert [[f.type for f in result] for result in results] == [[], ["PASSWORD"], [], ["EMAIL"], ["PASSWORD"]]
    assert texts[4][results[4][0].start : results[4][0].end] in planted()


async def test_clean_texts_need_no_worker() -> None:
    pool = ScanPool()
    await pool.start()
    await pool.built()
    begin = time.perf_counter()
    assert await pool.scan([b"hello", b"world"]) == [(), ()]
    assert time.perf_counter() - begin < 0.5  # the engines are still loading
    await pool.close()


async def test_scans_that_come_before_the_engines_are_loaded_wait_for_them() -> None:
    pool = ScanPool()
    begin = time.process_time()
    await pool.start()
    assert time.process_time() - begin < 1.0  # of this process: the engines are loaded in others
    assert not pool.ready
    assert (await pool.scan([planted()]))[0]
    assert pool.ready
    await pool.close()


async def test_scans_wait_until_the_scanner_is_built_and_nobody_gets_it_before_it_was_handed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build, order = scan_pool.build_scanner, list[str]()

    def slow(*given: Any) -> Scanner:
        time.sleep(0.3)
        order.append("built")
        return build(*given)

    monkeypatch.setattr(scan_pool, "build_scanner", slow)
    pool = ScanPool()
    await pool.start(workers=False)
    with pytest.raises(ScannerFailed):
        await pool.scan([b"hello"])
    pool.start_workers(lambda _: order.append("handed over"))
    with pytest.raises(ScannerFailed):
        _ = pool.scanner
    assert await pool.scan([b"hello"]) == [()]
    assert order == ["built", "handed over"]
    await pool.close()


async def test_without_a_scanner_every_scan_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Scanner:
        raise RuleInvalid("packaged.toml: cannot be read as TOML")

    monkeypatch.setattr(scan_pool, "build_scanner", broken)
    pool = ScanPool()
    await pool.start()
    for _ in range(2):
        with pytest.raises(ScannerFailed):
            await pool.scan([b"hello"])
    assert "packaged.toml" in caplog.text
    await pool.close()


async def test_a_long_text_is_prefiltered_off_the_loop(pool: ScanPool) -> None:
    await pool.scan([planted()])
    text = b"x = some_function(argument)\n" * 400_000 + planted()
    longest, last, done = 0.0, time.perf_counter(), False

    async def tick() -> None:
        nonlocal longest, last
        while not done:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    ticking = asyncio.create_task(tick())
    ((finding,),) = await pool.scan([text])
    done = True
    await ticking
    assert text[finding.start : finding.end] in planted()
    assert longest < 0.25


async def test_many_scans_at_once_all_get_their_answers(pool: ScanPool) -> None:
    texts = [planted(f"password = '{{password}}{n}'") for n in range(50)]
    results = await asyncio.gather(*(pool.scan([text]) for text in texts))
    for text, ((finding,),) in zip(texts, results, strict=True):
        assert b"password = '" + text[finding.start : finding.end] + b"'" == text


async def test_a_scan_past_its_deadline_is_killed_and_the_pool_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ScanPool(deadline=0.5)
    await pool.start()
    await pool.scan([planted()])
    first = pid_of(pool)
    os.kill(first, signal.SIGSTOP)  # stands for a pattern that backtracks for ever
    begin = time.perf_counter()
    with pytest.raises(ScanTimeout):
        await pool.scan([planted()])
    assert time.perf_counter() - begin < 5.0
    assert (await pool.scan([planted()]))[0]
    assert pid_of(pool) != first
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    await pool.close()


async def test_a_deadline_also_ends_the_sending_of_many_windows_to_a_worker_that_does_not_read() -> None:
    pool = ScanPool(deadline=0.5)
    await pool.start()
    await pool.scan([planted()])
    os.kill(pid_of(pool), signal.SIGSTOP)
    with pytest.raises(ScanTimeout):
        await pool.scan([(planted() + b"\n") * 50_000])
    await pool.close()


async def test_a_crash_fails_its_scan_and_the_next_has_a_new_worker(pool: ScanPool) -> None:
    await pool.scan([planted()])
    os.kill(pid_of(pool), signal.SIGSTOP)
    dying = asyncio.create_task(pool.scan([planted()]))
    await asyncio.sleep(0.3)
    os.kill(pid_of(pool), signal.SIGKILL)
    with pytest.raises(ScannerFailed):
        await dying
    begin = time.perf_counter()
    assert (await pool.scan([planted()]))[0]
    assert not LINUX or time.perf_counter() - begin < 2.0  # forked from a server that has the engines loaded


async def test_a_worker_that_died_while_idle_costs_the_next_scan_nothing(pool: ScanPool) -> None:
    assert (await pool.scan([planted()]))[0]
    worker = pool._workers[0]._process
    for _ in range(2):
        worker.kill()
        worker.join()
        assert (await pool.scan([planted()]))[0]
        assert pool._workers[0]._process is not worker
        worker = pool._workers[0]._process


async def test_a_caller_that_goes_away_leaves_the_worker_usable(pool: ScanPool) -> None:
    await pool.scan([planted()])
    for _ in range(20):
        task = asyncio.create_task(pool.scan([planted()]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await pool.scan([planted()]))[0]


async def test_a_caller_that_goes_away_while_waiting_for_the_engines_loses_no_worker() -> None:
    pool = ScanPool()
    await pool.start()
    task = asyncio.create_task(pool.scan([planted()]))
    await asyncio.sleep(0.01)
    task.cancel()
    assert (await pool.scan([planted()]))[0]
    await pool.close()


async def test_no_scan_is_answered_after_close() -> None:
    pool = ScanPool()
    await pool.start()
    waiting = asyncio.create_task(pool.scan([planted()]))
    await asyncio.sleep(0.01)
    await pool.close()
    with pytest.raises(ScannerFailed):
        await waiting
    with pytest.raises(ScannerFailed):
        await pool.scan([planted()])


async def test_an_error_in_a_detector_fails_the_scan_without_telling_the_text(pool: ScanPool) -> None:
    await pool.scan([planted()])
    worker = pool._workers[0]
    broken = [[Window(0, 3, 8675309, ("assignment/env",))]]  # type: ignore[arg-type]
    with pytest.raises(ScannerFailed, match="TypeError") as failure:
        await worker.examine(broken, Budget(5.0))
    assert "8675309" not in str(failure.value)


@pytest.mark.timeout(240)
async def test_gates_are_compiled_once_for_a_home_and_find_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hyperscan")
    monkeypatch.setattr(scan_pool, "_COMPILE_SECONDS", 0.1)
    texts = [planted(), b"x = 1\n" * 9000 + planted(), planted("mail {word:6}.{word:5}@{word:6}.io\n") * 900]
    pool = ScanPool(compiled=tmp_path)
    await pool.start()
    before = await pool.scan(texts)
    assert not pool.scanner.accelerated
    assert pool._compiling is not None
    await asyncio.wait_for(pool._compiling, 200)
    assert pool.scanner.accelerated
    assert await pool.scan(texts) == before
    await pool.close()
    assert len(list(tmp_path.glob("gates-*"))) == 1  # noqa: ASYNC240

    again = ScanPool(compiled=tmp_path)
    await again.start()
    assert (await again.built()).accelerated
    assert await again.scan(texts) == before
    await again.close()


async def test_a_second_worker_comes_for_long_texts_and_goes_after_them(
    pool: ScanPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(scan_pool, "_IDLE_SECONDS", 6.0)
    monkeypatch.setattr(scan_pool, "_LONG", 100_000)
    await pool.scan([planted()])
    assert pool._spare is None
    texts = [b"x = 1\n" * 20_000 + planted()] * 8
    scanning = asyncio.create_task(pool.scan(texts))
    await asyncio.sleep(0.01)
    spare = pool._spare
    assert spare is not None
    assert all(await scanning)
    for _ in range(100):
        if pool._spare is None and not spare.alive:
            break
        await asyncio.sleep(0.2)
    assert pool._spare is None
    assert not spare.alive
    assert all(await pool.scan(texts))  # the queue does not hand it out


async def test_the_deadline_of_long_texts_grows_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ScanPool(deadline=0.0)
    monkeypatch.setattr(scan_pool, "_SLOWEST", 10_000)
    await pool.start()
    assert (await pool.scan([b"x = 1\n" * 20_000 + planted()]))[0]
    await pool.close()


async def test_a_broken_rule_file_stops_the_start_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[[rules]]\nid = "mine/x"\ntype = "X"\ndescription = ""\npattern = "(?<!a)b"\n')
    with pytest.raises(RuleInvalid, match=r"mine\.toml.*mine/x.*pattern"):
        await ScanPool(rules_dirs=[tmp_path]).start()


async def test_a_users_rule_is_used_and_may_switch_a_packaged_one_on(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        '[[rules]]\nid = "mine/project"\ntype = "PROJECT"\nclass = "custom"\ndescription = "our project"\n'
        'pattern = "(?i)blue heron"\n'
    )
    pool = ScanPool(rules_dirs=[tmp_path, tmp_path / "absent"])
    await pool.start()
    ((finding,),) = await pool.scan([b"about Blue Heron"])
    assert (finding.start, finding.end, finding.type, finding.data_class) == (6, 16, "PROJECT", "custom")
    await pool.close()


def test_rules_are_read_in_order_and_a_later_file_redefines(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        '[[rules]]\nid = "github/token"\ntype = "X"\ndescription = "x"\npattern = "x"\nenabled = false\n'
    )
    assert "github/token" in {rule.id for rule in read_rules([])}
    assert "github/token" not in {rule.id for rule in read_rules([tmp_path])}


_DAEMON = """
import asyncio, socket, sys
from localguard.config.rule_files import read_rules
from localguard.proxy.scan_pool import ScanPool
async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    pool = ScanPool()
    await pool.start()
    await pool.scan([b"mail jane.roe@contoso.io, password = 'hunter22x'"])
    heavy = [name for name in sys.modules if name.split(".")[0] in ("detect_secrets", "presidio_analyzer", "spacy")]
    print(pool._workers[0]._process.pid, heavy, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.fixture
def daemon(tmp_path: Path) -> "subprocess.Popen[bytes]":
    script = tmp_path / "daemon.py"
    script.write_text(_DAEMON)  # no `if __name__` guard: a worker must not run it again
    return subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, cwd=Path(scan_pool.__file__).parents[2]
    )


@pytest.mark.skipif(not LINUX, reason="looks into /proc")
def test_the_daemon_stays_light_and_its_worker_dies_with_it(daemon: "subprocess.Popen[bytes]") -> None:
    assert daemon.stdout is not None
    line = daemon.stdout.readline().decode()
    found = re.fullmatch(r"(\d+) \[\]\n", line)
    assert found, line
    worker = int(found[1])
    sockets = [str(link.readlink()) for link in Path(f"/proc/{worker}/fd").iterdir()]
    listening = Path("/proc/net/tcp").read_text().splitlines()
    inodes = {f"socket:[{row.split()[9]}]" for row in listening[1:] if row.split()[3] == "0A"}
    assert not inodes.intersection(sockets)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    end = time.monotonic() + 5
    while Path(f"/proc/{worker}").exists() and time.monotonic() < end:
        if Path(f"/proc/{worker}/stat").read_text().split(") ")[1][0] == "Z":
            break
        time.sleep(0.02)
    else:
        assert not Path(f"/proc/{worker}").exists()
    assert daemon.stdout.read() == b""


@pytest.mark.skipif(not LINUX, reason="Linux ends processes with their parent")
def test_the_fork_server_ends_with_a_daemon_that_is_killed_while_it_imports() -> None:
    program = "import asyncio; from localguard.proxy.scan_pool import ScanPool\n"
    program += "async def main():\n await ScanPool().start(); await asyncio.sleep(60)\nasyncio.run(main())"
    daemon = subprocess.Popen([sys.executable, "-c", program])
    try:
        server = eventually(lambda: next(iter(fork_servers(daemon.pid)), 0))
        eventually(lambda: "_ctypes" in Path(f"/proc/{server}/maps").read_text())
        time.sleep(0.05)
    finally:
        daemon.kill()
        daemon.wait()
    time.sleep(0.2)
    state = Path(f"/proc/{server}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def fork_servers(pid: int) -> list[int]:
    """The children of a process that are multiprocessing's fork server."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in children if b"forkserver" in Path(f"/proc/{one}/cmdline").read_bytes()]


def eventually(answer: Callable[[], Answer]) -> Answer:
    """The first true answer within ten seconds."""
    end = time.monotonic() + 10
    while not (given := answer()):
        assert time.monotonic() < end
        time.sleep(0.005)
    return given
