"""Adding and removing endpoints in the user's policy file, its comments and layout kept."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localguard.config.builtin import builtin_endpoints
from localguard.config.home import exclusively, write_private
from localguard.config.policy_problems import PolicyInvalid, nearest
from localguard.errors import LocalguardError
from localguard.policy.model import Endpoint, Layer, LayerName

if TYPE_CHECKING:
    import tomlkit


class EndpointTaken(LocalguardError):
    """The policy file defines an endpoint of this name already."""


class EndpointInvalid(PolicyInvalid):
    """The endpoint that was asked for would make the policy file invalid; nothing was written."""


class EndpointMissing(LocalguardError):
    """The policy file defines no endpoint of this name."""


def add_endpoint(
    policy_file: Path,
    *,
    name: str,
    kind: str,
    base_url: str | None = None,
    endpoint_class: str | None = None,
    credential: str | None = None,
    identity: str | None = None,
    support: str | None = None,
    auth_headers: Sequence[str] = (),
    region: str | None = None,
    retention: str | None = None,
    contract: str | None = None,
    ca_file: str | None = None,
    allow_http: bool = False,
    replace: bool = False,
) -> Endpoint:
    """Write an `[[endpoints]]` table at the end of the file's endpoints and return the endpoint as the guard will see it.

    The file is made (mode 0600) if it is missing, and replaced atomically; nothing is written unless the result is a valid
    policy. A built-in name redefines the built-in endpoint. Raises EndpointTaken (unless `replace`),
    EndpointInvalid, PolicyInvalid (the file as it is), OSError.
    """
    fields: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "base_url": base_url,
        "class": endpoint_class,
        "credential": credential,
        "identity": identity,
        "support": support,
        "auth_headers": list(auth_headers) or None,
        "region": region,
        "retention": retention,
        "contract": contract,
        "ca_file": ca_file,
        "allow_http": allow_http or None,
    }
    with _editing(policy_file):
        document = _document(policy_file)
        existing = _position(document, name)
        if existing is not None and not replace:
            raise EndpointTaken(f"{policy_file} defines {name} already. Remove it first, or choose another name.")
        if existing is not None:
            _remove(document, existing)
        _append(document, {key: value for key, value in fields.items() if value is not None})
        try:
            layer = _write(policy_file, document)
        except PolicyInvalid as error:
            raise EndpointInvalid(error.problems) from None
    return next(endpoint for endpoint in layer.endpoints if endpoint.name == name)


def remove_endpoint(policy_file: Path, name: str) -> None:
    """Remove an endpoint's table from the file; a built-in endpoint of that name is in force again.

    Raises EndpointMissing, PolicyInvalid, OSError.
    """
    with _editing(policy_file):
        document = _document(policy_file)
        position = _position(document, name)
        if position is None:
            if any(endpoint.name == name for endpoint in builtin_endpoints()):
                raise EndpointMissing(f"{name} is built in. Forbid it with a deny rule, or redefine it by name.")
            names = [str(entry.get("name")) for entry in _entries(document)]
            hint = nearest(name, names) if names else " It defines none."
            raise EndpointMissing(f"{policy_file} defines no endpoint of this name.{hint}")
        _remove(document, position)
        _write(policy_file, document)


def _editing(policy_file: Path) -> Any:
    policy_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return exclusively(policy_file.parent / f".{policy_file.name}.lock")


def _document(policy_file: Path) -> "tomlkit.TOMLDocument":
    import tomlkit

    from localguard.config.policy_files import load_policy

    load_policy(policy_file)  # a file with mistakes is mended by its author first
    if not policy_file.exists():
        return tomlkit.parse("version = 1\n")
    return tomlkit.parse(policy_file.read_bytes().decode("utf-8-sig"))


def _entries(document: "tomlkit.TOMLDocument") -> list[Any]:
    found = document.get("endpoints")
    return list(found) if found is not None else []


def _position(document: "tomlkit.TOMLDocument", name: str) -> int | None:
    return next((index for index, entry in enumerate(_entries(document)) if entry.get("name") == name), None)


def _remove(document: "tomlkit.TOMLDocument", position: int) -> None:
    found: Any = document["endpoints"]
    if len(found) == 1:
        del document["endpoints"]
    else:
        del found[position]


def _append(document: "tomlkit.TOMLDocument", fields: dict[str, Any]) -> None:
    import tomlkit
    from tomlkit.items import AoT

    found: Any = document.get("endpoints")
    if found is not None and not isinstance(found, AoT):  # written as endpoints = [{…}]
        inline = tomlkit.inline_table()
        inline.update(fields)
        found.append(inline)
        return
    table = tomlkit.table()
    for key, value in fields.items():
        table.add(key, value)
    if found is None:
        tables = tomlkit.aot()
        tables.append(table)
        if document.as_string().strip():
            document.add(tomlkit.nl())
        document.add("endpoints", tables)
    else:
        found.append(table)


def _write(policy_file: Path, document: "tomlkit.TOMLDocument") -> Layer:
    from localguard.config.policy_parser import parse_policy

    text = re.sub(r"\n{3,}", "\n\n", document.as_string().lstrip("\n"))
    if not text.endswith("\n"):
        text += "\n"
    data = text.encode()
    layer = parse_policy(data, str(policy_file), LayerName.USER)
    write_private(policy_file, data)
    return layer
