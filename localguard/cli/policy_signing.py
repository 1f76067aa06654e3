"""`localguard policy sign` and `trust`: an organisation's policy, and whose signatures count here."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from localguard.cli.clock import now
from localguard.cli.exit_codes import WrongUse
from localguard.cli.options import HomeOption, JsonOption, located
from localguard.cli.output import print_json, print_table, printable
from localguard.errors import LocalguardError

if TYPE_CHECKING:
    from localguard.config.home import Home
    from localguard.config.organisation import Source, Trust


class SourceUnusable(LocalguardError):
    """A collector's address was named, and its policy could not be had yet."""


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command(
        "sign", epilog="Example: localguard policy sign policy.toml --key signing.pem --output organisation.toml"
    )(sign)
    group.command("trust", epilog="Example: localguard policy trust ed25519:… --name acme")(trust)


def sign(
    file: Annotated[Path, typer.Argument(help="Policy file with an [organisation] table.")],
    key: Annotated[Path, typer.Option("--key", help="File of the signing key (Ed25519, PKCS #8).")],
    new_key: Annotated[bool, typer.Option("--new-key", help="Make the key first, in a new file.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="Where to write it. [default: standard output]", show_default=False)
    ] = None,
) -> None:
    """Sign an organisation's policy.

    The file must be valid as one: [organisation] with name, revision and expires. Every change needs a higher revision.
    Rolled out as organisation.toml in the home, it counts where the key is trusted. The public key goes to standard error.
    """
    from localguard.config import signing
    from localguard.config.home import write_private
    from localguard.config.policy_parser import parse_policy
    from localguard.policy.model import LayerName

    try:
        data = file.read_bytes()
    except OSError:
        raise WrongUse(f"{file} cannot be read.") from None
    layer = parse_policy(data, str(file), LayerName.ORGANISATION)
    if new_key:
        try:
            signing.new_key(key)
        except FileExistsError:
            raise WrongUse(f"{key} is there already; sign with it without --new-key.") from None
        except OSError as error:
            raise WrongUse(f"{key} cannot be written ({error.strerror}).") from None
    private = signing.read_key(key)
    signed = signing.signed(data, private)
    public = signing.public_half(private)
    if output is None:
        typer.echo(signed.decode("utf-8-sig"), nl=False)
    else:
        write_private(output, signed)
    typer.echo(printable(f"{layer.organisation}, revision {layer.revision}, signed with key {public.id}."), err=True)
    typer.echo(
        f"Trust it with: localguard policy trust {public} --name {printable(layer.organisation or '')}", err=True
    )


def trust(
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="Public key, ed25519:… [default: list those that are trusted]")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Whose it is, for the list.")] = "",
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="URL",
            help="Collector that new revisions are fetched from; `none` for no longer.",
            show_default=False,
        ),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", help="PEM file of authorities that vouch for it.", show_default=False)
    ] = None,
    remove: Annotated[
        str | None, typer.Option("--remove", metavar="KEY-ID", help="Trust this key no longer.", show_default=False)
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pin the key that signs the organisation's policy; list and remove such keys.

    Compare the key with what your organisation publishes elsewhere. Without any trusted key an organisation's policy is
    refused, and with it everything. When the last key is removed, what was in force is forgotten too.
    With --from the policy is fetched at once, and a guard looks for new revisions every quarter of an hour; what is in force
    stays so until it expires when the address does not answer. Nothing is sent there.
    """
    from localguard.config.organisation import Trust
    from localguard.config.signing import PublicKey

    place = located(home)
    if key is not None and remove is not None:
        raise WrongUse("Pin one key or remove one, not both.")
    pins = Trust(place)
    if remove is not None:
        pins.unpin(remove)
        typer.echo(f"Key {printable(remove)} is not trusted any more.")
        return
    if key is not None:
        place.create()
        made = pins.pin(PublicKey.of_text(key), name=name, now=now())
        typer.echo(f"Key {made.id} is trusted.")
    if source is not None:
        _follow(place, pins, source, ca_file)
    if key is not None or source is not None:
        return
    found, accepted, followed = pins.pinned(), pins.accepted(), pins.source()
    if as_json:
        print_json(
            {
                "keys": [{"id": one.id, "key": one.public, "name": one.name, "added": one.added} for one in found],
                "accepted": {name: one.revision for name, one in accepted.items()},
                "source": followed.url if followed is not None else None,
            }
        )
        return
    print_table([(one.id, one.name, one.added, one.public) for one in found], ("id", "name", "since", "key"))
    for organisation, one in accepted.items():
        typer.echo(printable(f"{organisation}: revision {one.revision} was in force."))
    if followed is not None:
        typer.echo(printable(f"New revisions are fetched from {followed.url}."))


def _follow(place: "Home", pins: "Trust", source: str, ca_file: Path | None) -> None:
    """Name the address, or none, and fetch from it once. Raises WrongUse."""
    from localguard.config.endpoint_address import normal_url, problem_with_url
    from localguard.config.organisation import Source

    if source == "none":
        pins.follow(None)
        typer.echo("New revisions are not fetched any more; what is in force stays.")
        return
    if (problem := problem_with_url(source, allow_http=False)) is not None:
        raise WrongUse(f"The address {problem}.")
    if not pins.pinned():
        raise WrongUse("Pin the key that signs the policy, too: what nobody trusted has signed would be refused.")
    named = Source(normal_url(source), str(ca_file.absolute()) if ca_file is not None else None)
    place.create()
    pins.follow(named)
    import asyncio

    typer.echo(asyncio.run(_first_look(place, named)))


async def _first_look(place: "Home", source: "Source") -> str:
    """What came of the first fetch, in words."""
    from localguard.config.policy_problems import PolicyInvalid
    from localguard.proxy.policy_source import SourceFailed, fetch_and_store
    from localguard.proxy.upstream import Upstream

    upstream = Upstream()
    try:
        layer = await fetch_and_store(place, upstream, source, datetime.now(UTC))
    except (SourceFailed, PolicyInvalid, OSError) as error:
        raise SourceUnusable(
            f"The address is kept, but nothing could be fetched yet: {error} A running guard tries again."
        ) from None
    finally:
        await upstream.close()
    if layer is None:
        return "Its policy is the one that is here."
    return printable(f"{layer.organisation}, revision {layer.revision}, was fetched.")
