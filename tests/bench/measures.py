"""The measurements, each a coroutine that answers rows of the table.

Guard, floor and direct are measured in turns within one run, so that noise hits all alike. "Added" is the time on a way
minus the time direct; ratios are between what the guard adds and what the floor adds unless the row says `total`.
"""

import asyncio
import itertools
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import commands, log, money, policy, report, store, tray, watching
from tests.bench.client import Connection
from tests.bench.corpus import Corpus, Session, cold_body, small_body
from tests.bench.rig import WAYS, Rig, Way, free_port, rig, start_guard, wait_for

_seeds = itertools.count(int(time.time()) << 8)
"""Nothing that one run sends was seen by an earlier one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `target` None: for information only."""

    name: str
    measured: float
    target: float | None
    unit: str
    note: str = ""
    at_least: bool = False

    @property
    def verdict(self) -> str:
        """`ok`, `MISSED`, or nothing where there is no target."""
        if self.target is None:
            return ""
        met = self.measured >= self.target if self.at_least else self.measured <= self.target
        return "ok" if met else "MISSED"


Measure = Callable[[int], Coroutine[Any, Any, list[Row]]]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def ms(seconds: float) -> str:
    """A time for a note."""
    return f"{seconds * 1000:.2f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


# session replay, and memory after it


async def session(rounds: int) -> list[Row]:
    """60 turns that send the whole history again, 30 KB to 1.6 MB, in two wire formats; memory after the first."""
    rows: list[Row] = []
    for wire in ("chat", "messages"):
        totals: list[float] = []
        lasts: list[float] = []
        notes: list[str] = []
        for _ in range(rounds):
            async with rig() as made:
                times, leaks = await _replay(made, wire)
                memory = _memory(made.guard_pid)
            added = {way: [a - b for a, b in zip(times[way], times["direct"], strict=True)] for way in WAYS}
            totals.append(sum(added["guard"]) / sum(added["floor"]))
            lasts.append(statistics.median(added["guard"][-10:]) / statistics.median(added["floor"][-10:]))
            notes.append(
                f"added {ms(sum(added['guard']))} against {ms(sum(added['floor']))}"
                f" (direct {ms(sum(times['direct']))}); last ten {ms(statistics.median(added['guard'][-10:]))}"
                f" against {ms(statistics.median(added['floor'][-10:]))}; {leaks} planted values upstream"
            )
            if leaks:
                rows.append(Row(f"session {wire}: planted values upstream", leaks, 0, ""))
        rows.append(Row(f"session {wire}: added total", statistics.median(totals), 2.5, "×", notes[-1]))
        rows.append(Row(f"session {wire}: added p50, last ten", statistics.median(lasts), 3.0, "×", _all(lasts)))
        rows += [row for row in memory if wire == "chat"]
    return rows


async def _replay(made: Rig, wire: str) -> tuple[dict[str, list[float]], int]:
    corpus = Corpus(next(_seeds))
    replay = Session(corpus, wire=wire)
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    connections = {name: await way.connect() for name, way in made.ways.items()}
    for number in range(60):
        body = replay.turn()
        for name in _rotated(number):
            way = made.ways[name]
            request = way.post(body, replay.path, x_bench_chunks="20")
            times[name].append(await connections[name].timed(request))
        if number == 0:
            assert 25_000 < len(body) < 40_000, len(body)
    assert 1_500_000 < len(body) < 1_800_000, len(body)
    await connections["guard"].timed(made.ways["guard"].post(body, replay.path))
    leaks = corpus.leaks(await made.last_upstream())
    for connection in connections.values():
        connection.close()
    return times, leaks


def _rotated(number: int) -> list[str]:
    start = number % len(WAYS)
    return [*WAYS[start:], *WAYS[:start]]


def _all(values: Sequence[float]) -> str:
    return "rounds " + ", ".join(f"{value:.2f}" for value in values)


def _memory(pid: int) -> list[Row]:
    """Resident and proportional memory of the daemon and its processes, from /proc."""
    if sys.platform != "linux":
        return []
    family = [pid]
    for member in family:
        for task in Path(f"/proc/{member}/task").iterdir():
            family += [int(child) for child in (task / "children").read_text().split()]
    sizes = {member: (_kilobytes(member, "Rss"), _kilobytes(member, "Pss")) for member in family}
    daemon, pss = sizes[pid]
    together = sum(rss for rss, _ in sizes.values())
    proportional = sum(one for _, one in sizes.values())
    return [
        Row("memory after a session: daemon", daemon / 1024, 150, "MB", f"RSS; PSS {pss / 1024:.0f} MB"),
        Row(
            "memory after a session: with workers",
            together / 1024,
            350,
            "MB",
            f"sum of RSS of {len(family)} processes; PSS {proportional / 1024:.0f} MB",
        ),
    ]


def _kilobytes(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"no {field} of process {pid}")


# small requests


async def small(rounds: int) -> list[Row]:
    """The time of a small request one by one, and requests per second over 64 connections."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    chance = random.Random(next(_seeds))
    async with rig() as made:
        connections = {name: await way.connect() for name, way in made.ways.items()}
        commits: list[float] = []
        for number in range(150 * rounds):
            body = small_body(chance)
            for name in _rotated(number):
                times[name].append(await connections[name].timed(made.ways[name].post(body)))
            if number % 50 == 0:
                commits += await asyncio.to_thread(_commit_times, made.home.parent / "fsync.db", 20)
        for connection in connections.values():
            connection.close()
        for number in range(rounds):
            for name in _rotated(number):
                rates[name].append(await _rate(made.ways[name], chance, seconds=1.5))
    p50 = {name: statistics.median(values) for name, values in times.items()}
    commit = statistics.median(commits)
    added = {name: p50[name] - p50["direct"] for name in WAYS}
    per_second = {name: statistics.median(values) for name, values in rates.items()}
    return [
        Row(
            "small request: total p50 less one fsync",
            (p50["guard"] - commit) / p50["floor"],
            3.0,
            "×",
            f"guard {ms(p50['guard'])}, floor {ms(p50['floor'])}, direct {ms(p50['direct'])}, commit {ms(commit)}",
        ),
        Row(
            "small request: added p50 less one fsync",
            (added["guard"] - commit) / added["floor"],
            3.0,
            "×",
            f"guard adds {ms(added['guard'])}, floor {ms(added['floor'])}",
        ),
        Row(
            "small requests per second, 64 connections",
            per_second["guard"] / per_second["floor"],
            0.5,
            "×",
            ", ".join(f"{name} {value:.0f}/s" for name, value in per_second.items()),
            at_least=True,
        ),
    ]


def _commit_times(path: Path, count: int) -> list[float]:
    """Seconds of single-row commits as the log makes them: WAL, synchronous=FULL, in a thread of their own."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS records (seq INTEGER PRIMARY KEY, text TEXT)")
    times = []
    for _ in range(count):
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO records (text) VALUES (?)", ("x" * 1500,))
        connection.execute("COMMIT")
        times.append(time.perf_counter() - began)
    connection.close()
    return times


async def _rate(way: Way, chance: random.Random, *, seconds: float, connections: int = 64) -> float:
    """Requests answered per second."""
    open_ones = [await way.connect() for _ in range(connections)]
    bodies = [[way.post(small_body(chance)) for _ in range(40)] for _ in open_ones]
    done = 0
    end = time.perf_counter() + seconds

    async def work(connection: Connection, requests: list[bytes]) -> None:
        nonlocal done
        for request in itertools.cycle(requests):
            if time.perf_counter() >= end:
                return
            await connection.timed(request)
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(work(*pair) for pair in zip(open_ones, bodies, strict=True)))
    rate = done / (time.perf_counter() - began)
    for connection in open_ones:
        connection.close()
    return rate


# streams


async def streams(rounds: int) -> list[Row]:
    """50 streams of 100 chunks, 20 ms apart: how much later a chunk arrives than it would directly."""
    seen: dict[tuple[str, float], list[float]] = {(way, share): [] for way in WAYS for share in (0.5, 0.99)}
    async with rig() as made:
        for number in range(rounds):
            for name in _rotated(number):
                delays = await _stream_delays(made.ways[name], 50, 100)
                for share in (0.5, 0.99):
                    seen[name, share].append(percentile(delays, share))
    rows = []
    for share, target in ((0.5, 2.0), (0.99, 3.0)):
        direct, floor, guard = (statistics.median(seen[name, share]) for name in WAYS)
        note = f"guard {ms(guard)}, floor {ms(floor)}, direct {ms(direct)}; guard's " + ", ".join(
            map(ms, seen["guard", share])
        )
        ratio = (guard - direct) / max(floor - direct, 1e-6)
        rows.append(Row(f"50 streams: added chunk delay p{share * 100:.0f}", ratio, target, "×", note))
    return rows


async def _stream_delays(way: Way, count: int, chunks: int) -> list[float]:
    """Seconds that each chunk of `count` streams at once was on its way."""
    delays: list[float] = []

    def arrived(piece: bytes) -> None:
        now = time.monotonic_ns()
        position = piece.find(b'"sent":')
        while position >= 0:
            delays.append((now - int(piece[position + 7 : piece.index(b"}", position)])) / 1e9)
            position = piece.find(b'"sent":', position + 7)

    async def one(number: int) -> None:
        await asyncio.sleep(0.02 * number / count)
        connection = await way.connect()
        body = b'{"model":"bench-1","stream":true,"messages":[{"role":"user","content":"stream %d"}]}' % number
        answer = await connection.ask(
            way.post(body, x_bench_chunks=str(chunks), x_bench_interval="20"), on_piece=arrived
        )
        assert answer.status == 200
        connection.close()

    await asyncio.gather(*(one(number) for number in range(count)))
    assert len(delays) == count * chunks, (len(delays), count * chunks)
    return delays


async def live(rounds: int) -> list[Row]:
    """20 live streams while bodies of 4 MB are read that nobody has seen: the longest delay of a chunk."""
    longest: dict[str, list[float]] = {way: [] for way in WAYS}
    p99: dict[str, list[float]] = {way: [] for way in WAYS}
    async with rig() as made:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(rounds):
                for name in _rotated(number):
                    way = made.ways[name]
                    paths = []
                    for index in range(6):
                        paths.append(Path(folder) / f"{number}-{name}-{index}")
                        paths[-1].write_bytes(way.post(cold_body(Corpus(next(_seeds)), 4_000_000)))
                    sender = await asyncio.create_subprocess_exec(
                        sys.executable, "-m", "tests.bench.sender", str(way.port), *map(str, paths)
                    )
                    delays = await _stream_delays(way, 20, 150)
                    assert await sender.wait() == 0
                    longest[name].append(max(delays))
                    p99[name].append(percentile(delays, 0.99))
    floor, guard = statistics.median(longest["floor"]), statistics.median(longest["guard"])
    note = ", ".join(
        f"{name} {ms(statistics.median(longest[name]))} (p99 {ms(statistics.median(p99[name]))})" for name in WAYS
    )
    return [Row("20 live streams beside cold 4 MB bodies: longest delay, total", guard / floor, 4.0, "×", note)]


# one large body, and the start


async def cold(rounds: int) -> list[Row]:
    """A body of 16 MB that nobody has seen."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    leaks = 0
    async with rig() as made:
        connections = {name: await way.connect() for name, way in made.ways.items()}
        for number in range(rounds):
            corpus = Corpus(next(_seeds))
            body = cold_body(corpus, 16_000_000)
            for name in _rotated(number):
                times[name].append(await connections[name].timed(made.ways[name].post(body)))
                if name == "guard":
                    leaks += corpus.leaks(await made.last_upstream())
        for connection in connections.values():
            connection.close()
    direct, floor, guard = (statistics.median(times[name]) for name in WAYS)
    note = f"guard {ms(guard)}, floor {ms(floor)}, direct {ms(direct)}; {leaks} planted values upstream"
    return [
        Row("16 MB cold body: total", guard / floor, 6.0, "×", note),
        Row("16 MB cold body: added", (guard - direct) / (floor - direct), 6.0, "×"),
    ]


async def start(rounds: int) -> list[Row]:
    """From the start of the process to the first answer of `/-/healthz`, new home and known home."""
    times: list[float] = []
    with tempfile.TemporaryDirectory(prefix="localguard-bench-", ignore_cleanup_errors=True) as folder:
        for number in range(-1, 2 * rounds):  # the first one writes Python's bytecode and does not count
            home, port = Path(folder) / f"home-{number % rounds}", free_port()
            began = time.monotonic()
            process = start_guard(home, port, free_port())
            await asyncio.to_thread(wait_for, port, process)
            if number >= 0:
                times.append(time.monotonic() - began)
            process.terminate()
            process.wait(10)
            await asyncio.sleep(1.0)
    note = f"p50 {ms(statistics.median(times))} of {len(times)} starts, half of them in a new home"
    return [Row("start: /-/healthz answers, slowest", max(times), 1.0, "s", note)]


# policy


async def policies(rounds: int) -> list[Row]:
    """A decision over three layers of 100 rules and 50 workspaces, and the time to take a policy of that size in."""
    found = [policy.decision_microseconds() for _ in range(rounds)]
    reloads = [await policy.reload_milliseconds() for _ in range(rounds)]
    return [
        Row(
            "decision: 100 rules, 50 workspaces, 3 layers (CPU)",
            statistics.median(one["seen"] for one in found),
            100,
            "µs",
            f"with a model never seen before {statistics.median(one['new'] for one in found):.0f} µs",
        ),
        Row(
            "policy of that size, read again (CPU)",
            statistics.median(took for took, _ in reloads),
            50,
            "ms",
            f"in a thread; the event loop waited {max(held for _, held in reloads):.1f} ms at most",
        ),
    ]


# money


async def budgets(rounds: int) -> list[Row]:
    """What decision and budgets add to a request."""
    found = [money.request_microseconds() for _ in range(rounds)]
    return [
        Row(
            "decision, price, reservation, settlement: 20 budgets, 200 under way (CPU)",
            statistics.median(whole for whole, _ in found) / 1000,
            0.3,
            "ms",
            f"{statistics.median(paid for _, paid in found):.0f} µs of it without the decision",
        )
    ]


# log


async def appends(rounds: int) -> list[Row]:
    """What the log's writer and its verifier can do."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        costs = []
        for number in range(rounds):
            (place / str(number)).mkdir()
            costs.append(log.proof_cost(place / str(number)))
        added, without, commit = sorted(costs)[len(costs) // 2]
        rate = max(log.durable_rate(place / f"rate-{number}.db") for number in range(rounds))
        log.written(place / "log.db", 100_000)
        cpu, clock = min(log.verified(place / "log.db") for _ in range(rounds))
        return [
            Row(
                "append: proof state adds to a durable commit of 64 records",
                100 * added / commit,
                20,
                "%",
                f"{ms(added)} to {ms(commit)}; of the processor's time alone {added / without:.0%}",
            ),
            Row("append: durable records a second, 64 writers", rate, 3_000, "/s", at_least=True),
            Row("audit verify: 100,000 records (CPU)", cpu, 5, "s", f"{clock:.2f} s by the clock"),
        ]


async def million(rounds: int) -> list[Row]:
    """Reading a log of a million records."""
    with tempfile.TemporaryDirectory() as name:
        path, count = Path(name) / "log.db", 1_000_000
        log.written(path, count)
        took = log.reads(path)
        size = path.stat().st_size / count / 1_000
        return [
            Row(
                "session show, of a million records",
                1_000 * took["session show"],
                50,
                "ms",
                f"{log.A_SESSION} of its own",
            ),
            Row("audit tail, of a million records", 1_000 * took["audit tail"], 50, "ms"),
            Row("session list, of a million records", 1_000 * took["session list"], None, "ms"),
            Row("database, a record", size, 2.5, "KB"),
        ]


async def reports(rounds: int) -> list[Row]:
    """A page over 100,000 exchanges, start of the process included."""
    with tempfile.TemporaryDirectory() as name:
        home = report.logged(Path(name), 100_000)
        clock, cpu, memory, size = min(report.made(home, "html") for _ in range(rounds))
        return [
            Row("report: 100,000 exchanges as a page", clock, 5, "s", f"{cpu:.2f} s of the processor"),
            Row("report: size of the page", size / 1_000, 500, "KB"),
            Row("report: memory", memory, None, "MB", "the same for a log ten times as long"),
        ]


# the central store


async def ingest(rounds: int) -> list[Row]:
    """Records that one collector process verifies and stores, in full batches and two at a time."""
    found = [await store.ingest() for _ in range(rounds)]
    few = [await store.ingest(2, 400) for _ in range(rounds)]
    rate, cpu = (statistics.median(getattr(one, name) for one in found) for name in ("records", "records_cpu"))
    small, small_cpu = (statistics.median(getattr(one, name) for one in few) for name in ("batches", "batches_cpu"))
    memory = f"{max(one.memory for one in found):.0f} MB"
    return [
        Row("collector: records a second, one process, PostgreSQL beside it", rate, 5000, "/s", memory, at_least=True),
        Row("collector: records for a second of its own CPU time", cpu, 5000, "/s", at_least=True),
        Row("collector: batches of two records a second", small, None, "/s"),
        Row("collector: the same for a second of its own CPU time", small_cpu, None, "/s"),
    ]


async def backlog(rounds: int) -> list[Row]:
    """A guard that has much to send."""
    found = [await store.backlog() for _ in range(rounds)]
    seconds = statistics.median(one.seconds for one in found)
    growth = statistics.median(one.growth for one in found)
    return [
        Row(f"sync: a backlog of {store.BACKLOG} records", seconds, 60, "s"),
        Row("sync: growth of the guard's memory meanwhile, at most", growth, 20, "MB"),
    ]


async def questions(rounds: int) -> list[Row]:
    """The store's views over a million exchanges of 20 days."""
    found = await store.questions(rounds)
    return [
        Row("store: slowest view, one day of a million exchanges", found.day, 0.5, "s"),
        Row("store: slowest view, all 20 days of them", found.all_days, None, "s", found.slowest),
    ]


async def first(rounds: int) -> list[Row]:
    """What a new user waits for: `--help`, the bare command and `status`."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for what, arguments, target in (
            ("--help", ["--help"], 250),
            ("status", ["status"], 300),
            ("(nothing)", [], None),
        ):
            clock, cpu = commands.waited(Path(name), arguments, 5 * rounds)
            rows.append(
                Row(f"localguard {what}", 1_000 * clock, target, "ms", f"{1_000 * cpu:.0f} ms of the processor")
            )
    return rows


async def tray_rest(rounds: int) -> list[Row]:
    """The tray in a real panel, while nothing happens: twenty seconds of it, once."""
    with tempfile.TemporaryDirectory() as name:
        rests = await asyncio.to_thread(tray.at_rest, Path(name))
    return [Row(f"tray at rest, {how}", share, 0.5, "%", f"{memory:.0f} MB") for how, (share, memory) in rests.items()]


async def terminal(rounds: int) -> list[Row]:
    """The terminal UI at 200 exchanges a second, each published twice, and after 24,500 of them."""
    runs = [await watching.watch() for _ in range(rounds)]
    paint = statistics.median(run.first_paint for run in runs)
    share = statistics.median(run.share for run in runs)
    grown = statistics.median(run.after_another - run.after_one for run in runs)
    return [
        Row("tui: first paint after connecting, 500 exchanges", paint * 1000, 150, "ms"),
        Row("tui: processor time at 200 exchanges a second", share * 100, 25, "%", "of one core"),
        Row("tui: memory, grown by 12,000 further exchanges", grown, 10, "MB", f"at {runs[-1].after_another:.0f} MB"),
        Row("tui: rows held after 24,500 exchanges", runs[-1].shown, 10_500, ""),
    ]


MEASURES: dict[str, Measure] = {
    "session": session,
    "small": small,
    "streams": streams,
    "live": live,
    "cold": cold,
    "start": start,
    "policy": policies,
    "money": budgets,
    "log": appends,
    "million": million,
    "report": reports,
    "commands": first,
    "ingest": ingest,
    "backlog": backlog,
    "questions": questions,
    "tray": tray_rest,
    "tui": terminal,
}
