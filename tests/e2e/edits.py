"""Edits that a model makes to files with secrets: what stands in the file, and what the model does with what it sees.

The model works on the text that it is shown, placeholders or not, and never on the file: each edit is written once and
serves for runs with and without a guard.
"""

import base64
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from localguard.detect.samples import expand
from tests.provider.script import Asked, Brain, Call, Turn, call

Act = Callable[[str, str], tuple[Call, ...] | str]
"""From a file's name and the text that the model sees: calls, or prose with a SEARCH/REPLACE block."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One task. `template` makes the file; `hidden` are the values that must not leave, taken from the file by pattern."""

    file: str
    template: str
    act: Act
    hidden: tuple[str, ...] = ()
    format: str = "chat"

    def content(self, seed: int) -> str:
        """The file before the edit."""
        return expand(self.template, random.Random(seed)).text.decode()

    def values(self, seed: int) -> list[str]:
        """What must not leave."""
        content = self.content(seed)
        return [found for pattern in self.hidden for found in re.findall(pattern, content)]

    @property
    def brain(self) -> Brain:
        """The model: read, act, tell."""

        def think(asked: Asked) -> Turn:
            if not asked.results:
                return Turn(text=f"I read {self.file}.", calls=(call("read", path=self.file),))
            done = self.act(self.file, asked.results[0])
            if isinstance(done, str):
                return Turn(text=done, piece=3)
            if len(asked.results) == 1:
                return Turn(calls=done, piece=3)
            return Turn(text=f"Done. It now has:\n{asked.results[0]}\nAsked: {asked.user}", piece=7)

        return think


def _line(seen: str, marker: str) -> str:
    return next(line for line in seen.split("\n") if marker in line)


def _edit(marker: str, old: str, new: str, file: str, seen: str) -> tuple[Call, ...]:
    """Edit the line that holds `marker`: in it, the first `old` becomes `new`."""
    line = _line(seen, marker)
    return (call("edit", path=file, old_string=line, new_string=line.replace(old, new, 1)),)


def _edit_two(marker: str, old: str, new: str, file: str, seen: str) -> tuple[Call, ...]:
    """Edit the line that holds `marker` together with the next one."""
    start = seen.index(_line(seen, marker))
    end = seen.index("\n", seen.index("\n", start) + 1)
    lines = seen[start:end]
    return (call("edit", path=file, old_string=lines, new_string=lines.replace(old, new)),)


def _write(old: str, new: str, file: str, seen: str) -> tuple[Call, ...]:
    return (call("write", path=file, content=seen.replace(old, new)),)


def _here(old: str, new: str, file: str, seen: str) -> tuple[Call, ...]:
    """Write the whole file by a here-document."""
    return (call("bash", command=f"cat > {file} <<'END_OF_FILE'\n{seen.replace(old, new)}END_OF_FILE\necho written"),)


def _sed(marker: str, old: str, new: str, file: str, seen: str) -> tuple[Call, ...]:
    """Replace a line by sed, its values spelled out."""
    line = _line(seen, marker).replace(old, new, 1)
    number = seen.split("\n").index(_line(seen, marker)) + 1
    return (call("bash", command=f"sed -i '{number}c\\{line}' {file}"),)


def _append(marker: str, old: str, new: str, file: str, seen: str) -> tuple[Call, ...]:
    """Append a changed copy of a line."""
    line = _line(seen, marker).replace(old, new, 1)
    return (call("bash", command=f"printf '%s\\n' '{line}' >> {file} && wc -l {file}"),)


def _patch(marker: str, old: str, new: str, file: str, seen: str) -> tuple[Call, ...]:
    """Replace a line by Codex's apply_patch."""
    line = _line(seen, marker)
    hunk = f"@@\n-{line}\n+{line.replace(old, new, 1)}"
    return (Call("apply_patch", f"*** Begin Patch\n*** Update File: {file}\n{hunk}\n*** End Patch", custom=True),)


def _prose(marker: str, old: str, new: str, file: str, seen: str) -> str:
    """Replace a line by a SEARCH/REPLACE block in prose."""
    line = _line(seen, marker)
    return f"I change it:\n\n{file}\n<<<<<<< SEARCH\n{line}\n=======\n{line.replace(old, new, 1)}\n>>>>>>> REPLACE\n"


def _two_files(file: str, seen: str) -> tuple[Call, ...]:
    """Two calls at once: a changed file, and a copy of one value in another."""
    line = _line(seen, "TOKEN")
    return (
        call("write", path=file, content=seen.replace("old", "new")),
        call("write", path="copy.txt", content=line.partition("=")[2] + "\n"),
    )


_B64 = base64.b64encode(b"Tr0ub4dor&3-in-a-cluster").decode()

EDITS: dict[str, Edit] = {
    "env, renamed key": Edit(
        ".env",
        "DEBUG=0\nGITHUB_TOKEN=gh" + "p_{alnum:36}\nDB_PASSWORD={alnum:14}\n",
        partial(_edit, "GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"),
        (r"TOKEN=(\S+)", r"PASSWORD=(\S+)"),
    ),
    "env, whole file, two calls at once": Edit(
        "prod.env",
        "MODE=old\nAPI_TOKEN={alnum:24}\nMAIL=jo.{word:6}@{word:7}.io\n",
        _two_files,
        (r"TOKEN=(\S+)", r"MAIL=(\S+)"),
        "messages",
    ),
    "python, single quotes": Edit(
        "settings.py",
        "import os\n\npassword = '{alnum:13}!x'\nTIMEOUT = 5\n",
        partial(_edit, "password", "password", "DB_PASSWORD"),
        (r"'([^']+)'",),
        "responses",
    ),
    "python, quotes and backslashes in the value": Edit(
        "secrets_.py",
        'CONFIG = {"db_password": "a{alnum:9}\\\\b{alnum:6}\\"c{digit:3}", "port": 5432}\n',
        partial(_edit, "db_password", "5432", "5433"),
        (r'password": "(.*)", "port',),
    ),
    "json, two lines": Edit(
        "config.json",
        '{\n  "name": "shop",\n  "db_password": "{alnum:9}/+{alnum:8}",\n  "port": 5432\n}\n',
        partial(_edit_two, "db_password", "5432", "6543"),
        (r'password": "([^"]+)',),
        "messages",
    ),
    "json in a json string": Edit(
        "task.json",
        '{\n  "env": "{\\"API_TOKEN\\": \\"{alnum:30}\\", \\"N\\": 1.0}"\n}\n',
        partial(_edit, "API_TOKEN", "1.0", "2.0"),
        (r'TOKEN\\": \\"(\w+)',),
        "responses",
    ),
    "yaml, whole file": Edit(
        "values.yaml",
        "db:\n  host: db.internal\n  password: {alnum:12}  # from the vault\nreplicas: 1\n",
        partial(_write, "replicas: 1", "replicas: 3"),
        (r"password: (\S+)",),
    ),
    "yaml, unicode value": Edit(
        "übung.yaml",
        'password: "päss{alnum:9}wört🔑{alnum:4}"\nrolle: alt\n',
        partial(_edit_two, "password", "alt", "neu"),
        (r'"(.*)"',),
        "messages",
    ),
    "toml": Edit(
        "app.toml",
        '[db]\nurl = "postgres://app:{alnum:15}@db.internal:5432/main"\npool = 5\n',
        partial(_edit, "postgres", "5432", "6432"),
        (r"app:(\w+)@",),
        "responses",
    ),
    "ini with CRLF, two lines": Edit(
        "app.ini",
        "[smtp]\r\npassword = {alnum:16}\r\nport = 25\r\n",
        partial(_edit_two, "password", "port = 25", "port = 587"),
        (r"password = (\w+)",),
    ),
    "properties with CRLF, whole file": Edit(
        "app.properties",
        "spring.datasource.password={alnum:14}\r\nserver.port=80\r\n",
        partial(_write, "port=80", "port=8080"),
        (r"password=(\w+)",),
        "messages",
    ),
    "xml": Edit(
        "settings.xml",
        "<servers>\n  <server><id>a</id><password>{alnum:12}</password></server>\n</servers>\n",
        partial(_edit, "password", "<id>a", "<id>b"),
        (r"<password>(\w+)",),
        "responses",
    ),
    "go": Edit(
        "main.go",
        'package main\n\nconst apiKey = "sk-{alnum:48}"\n',
        partial(_edit, "apiKey", "apiKey", "openaiKey"),
        (r'"(sk-\w+)"',),
    ),
    "javascript, template string": Edit(
        "client.js",
        "const token = `xox" + "b-{digit:12}-{digit:13}-{alnum:24}`;\nexport { token };\n",
        partial(_edit, "const token", "const", "export const"),
        (r"`(\S+)`",),
        "messages",
    ),
    "sql": Edit(
        "init.sql",
        'SELECT 1;\nCREATE USER app WITH PASSWORD "{alnum:12}";\n',
        partial(_edit, "CREATE", "app", "shop"),
        (),
        "responses",
    ),
    "dockerfile by sed": Edit(
        "Dockerfile",
        "FROM debian\nENV NPM_TOKEN=npm_{alnum:36}\nRUN make\n",
        partial(_sed, "NPM_TOKEN", "ENV", "ARG"),
        (r"(npm_\w+)",),
    ),
    "shell exports by here-document": Edit(
        "env.sh",
        "export API_TOKEN='{alnum:24}$x'\nexport MODE=dev\n",
        partial(_here, "dev", "prod"),
        (r"'([^']+)'",),
        "messages",
    ),
    "private key by here-document": Edit(
        "deploy.pem",
        "# old\n{pem:RSA PRIVATE KEY}\n",
        partial(_here, "# old", "# new"),
        (r"(?m)^([A-Za-z0-9+/=]{40,})$",),
        "responses",
    ),
    "private key in yaml, whole file": Edit(
        "tls.yaml",
        "name: old\nkey: |\n  {pem_indented:PRIVATE KEY}\nend: 1\n",
        partial(_write, "name: old", "name: new"),
        (r"(?m)^  ([A-Za-z0-9+/=]{40,})$",),
    ),
    "private key in json, edited": Edit(
        "account.json",
        '{\n  "type": "service_account",\n  "private_key": "{pem_escaped:PRIVATE KEY}\\n",\n  "n": 1\n}\n',
        partial(_edit_two, "private_key", '"n": 1', '"n": 2'),
        (r"([A-Za-z0-9+/=]{40,})\\n",),
        "messages",
    ),
    "terraform by apply_patch": Edit(
        "main.tf",
        'variable "x" {\n  secret_key = "{alnum:40}"\n  type = "a\\\\b"\n}\n',
        partial(_patch, "secret_key", "secret_key", "secret_access_key"),
        (r'= "(\w{40})"',),
        "responses",
    ),
    "compose file by SEARCH/REPLACE in prose": Edit(
        "compose.yaml",
        "services:\n  db:\n    environment:\n      POSTGRES_PASSWORD: {alnum:18}\n",
        partial(_prose, "POSTGRES_PASSWORD", "POSTGRES_PASSWORD", "PGPASSWORD"),
        (r"PASSWORD: (\w+)",),
    ),
    "netrc, appended by printf": Edit(
        "netrc",
        "machine api.acme.io login ci password {alnum:16}\n",
        partial(_append, "machine", "api.", "cdn."),
        (r"password (\w+)",),
        "messages",
    ),
    "a diff in a file": Edit(
        "change.diff",
        "--- a/.env\n+++ b/.env\n-API_KEY={alnum:24}\n+API_KEY={alnum:26}\n MODE=1\n",
        partial(_write, "MODE=1", "MODE=2"),
        (r"API_KEY=(\w+)",),
        "responses",
    ),
    "customers, whole file": Edit(
        "customers.csv",
        "name,mail,card,iban,plan\nJo,jo.{word:6}@{word:7}.io,{luhn:4:16},{iban:DE},old\n",
        partial(_write, "old", "new"),
        (r"(jo\.[^,]+),(?:\d)", r"io,(\d{16}),", r",(DE\d{20})"),
    ),
    "kubernetes secret": Edit(
        "secret.yaml",
        f"kind: Secret\ndata:\n  password: {_B64}\n  mode: b2xk\n",
        partial(_edit_two, "password", "b2xk", "bmV3"),
        (),
        "messages",
    ),
    "nginx": Edit(
        "site.conf",
        'location / {\n  proxy_set_header Authorization "Bearer {alnum:40}";\n}\n',
        partial(_edit, "Authorization", "proxy_set_header", "grpc_set_header"),
        (r"Bearer (\w+)",),
        "responses",
    ),
}
