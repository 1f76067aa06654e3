"""The guard answers as soon as it has the port, the log and the policy; everything else waits for what it needs."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.e2e.guard import Guard, policy
from tests.e2e.planted import github_token
from tests.provider.server import Provider

_SLOW = """
import importlib.abc, os, sys, time
from localguard.cli import main

class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "localguard.proxy.assembly":
            time.sleep(1.5)

def slowly(read):
    def step(*given, **named):
        time.sleep(1.5)
        return read(*given, **named)
    return step

from localguard.config import rule_files
rule_files.read_rules = slowly(rule_files.read_rules)
sys.meta_path.insert(0, Slow())
main.main()
"""


def test_health_is_answered_before_the_guard_is_put_together_and_a_request_waits_and_is_scanned(
    running_provider: Provider, tmp_path: Path
) -> None:
    token = github_token(77)
    running_provider.reset()
    with Guard(tmp_path / "home", policy(running_provider.port), command=(sys.executable, "-c", _SLOW)) as guard:
        began = time.monotonic()
        assert guard.get("/-/healthz") == b'{"status":"ok"}'
        assert time.monotonic() - began < 1.0
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": f"use {token}"}]}).encode()
        headers = {"Content-Type": "application/json", "Authorization": "Bearer k"}
        request = urllib.request.Request(guard.url + "/openai/v1/chat/completions", body, headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as reply:
            assert reply.status == 200
        assert time.monotonic() - began > 1.5
        sent = b"".join(one.body for one in running_provider.requests)
        assert b"LG_" in sent
        assert token.encode() not in sent


def test_a_broken_rule_file_of_the_users_is_told_before_anything_is_served(
    running_provider: Provider, tmp_path: Path
) -> None:
    guard = Guard(tmp_path / "home", policy(running_provider.port))
    (guard.home / "rules").mkdir(parents=True)
    (guard.home / "rules" / "mine.toml").write_text('[[rules]]\nid = "mine/x"\ntype = "X"\npattern = "("\n')
    done = subprocess.run(
        [sys.executable, "-m", "localguard.cli.main", "serve", "--home", str(guard.home), "--port", str(guard.port)],
        env=guard.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "mine.toml: rule 'mine/x': pattern is not RE2 syntax" in done.stderr
