"""The guard's own credentials: fetched after the decision, for one endpoint, and attached to requests to its origin only."""

import asyncio
from contextlib import suppress

from localguard.config.credential_commands import CredentialCommandFailed, CredentialCommands
from localguard.config.endpoint_address import origin_of
from localguard.config.keys import KeychainUnavailable, Keys, KeysDamaged, KeyUnknown
from localguard.policy.model import Endpoint
from localguard.proxy import refusals
from localguard.proxy.refusals import Refused


class OwnCredentials:
    """Keys of the keychain (`keyring:NAME`) and answers of commands (`command:LINE`)."""

    def __init__(self, keys: Keys, commands: CredentialCommands) -> None:
        self._keys = keys
        self._commands = commands
        self._fetching: dict[tuple[str, str], asyncio.Task[str]] = {}

    async def of(self, endpoint: Endpoint) -> str:
        """The credential of an endpoint that does not use the agent's. Raises Refused.

        However many requests wait for it, one thread does: a command or a keychain that takes its time holds up nobody else.
        """
        key = (endpoint.credential, origin_of(endpoint.base_url))
        fetching = self._fetching.get(key)
        if fetching is None:
            self._fetching[key] = fetching = asyncio.create_task(asyncio.to_thread(self._fetch, endpoint))
            fetching.add_done_callback(lambda _: self._fetching.pop(key))
        try:
            return await asyncio.shield(fetching)
        except (KeychainUnavailable, KeysDamaged, KeyUnknown, CredentialCommandFailed) as error:
            raise Refused(refusals.of_keys(error)) from None

    async def all(self) -> list[str]:
        """Every key of the keychain, and what commands answered lately. Raises KeychainUnavailable, KeysDamaged."""
        return await asyncio.to_thread(self._all)

    def _all(self) -> list[str]:
        found = self._commands.held()
        for one in self._keys.list():
            with suppress(KeyUnknown):  # removed meanwhile
                found.append(self._keys.get(one.name, one.origin))
        return found

    def _fetch(self, endpoint: Endpoint) -> str:
        if (command := endpoint.credential_command) is not None:
            return self._commands.get(command)
        return self._keys.get(endpoint.keyring_name or "", origin_of(endpoint.base_url))
