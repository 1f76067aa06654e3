"""The guard's own credentials: fetched after the decision, for one endpoint, and attached to requests to its origin only."""

import asyncio

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

    async def of(self, endpoint: Endpoint) -> str:
        """The credential of an endpoint that does not use the agent's. Raises Refused."""
        try:
            if (command := endpoint.credential_command) is not None:
                return await asyncio.to_thread(self._commands.get, command)
            name = endpoint.keyring_name or ""
            return await asyncio.to_thread(self._keys.get, name, origin_of(endpoint.base_url))
        except (KeychainUnavailable, KeysDamaged, KeyUnknown, CredentialCommandFailed) as error:
            raise Refused(refusals.of_keys(error)) from None
