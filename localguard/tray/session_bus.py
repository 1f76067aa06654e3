"""One connection to the desktop's D-Bus session, in a thread of its own: calls out, calls and signals in.

The rule of this file: who sent a message is what the bus says (its unique name), never what the message says. Anybody on the bus
can send us a signal, so whoever acts on one compares its sender.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

from jeepney import (
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    new_error,
    new_method_call,
    new_method_return,
    new_signal,
)
from jeepney.bus_messages import MatchRule, message_bus
from jeepney.io.asyncio import DBusConnection, open_dbus_connection

from localguard.errors import LocalguardError

BUS: Final = "org.freedesktop.DBus"
_CALL_SECONDS: Final = 5.0
_MOST_ANSWERING: Final = 64
"""Calls of others that are answered at a time; more are turned away."""

Answer = tuple[str, tuple[Any, ...]]
"""Signature and values of a reply."""
Method = Callable[[str, tuple[Any, ...]], Awaitable[Answer] | Answer]
"""Answers a call, given who sent it and its values. Raises NoSuchThing."""


class BusUnavailable(LocalguardError):
    """There is no D-Bus session, or it does not answer."""


class BusRefused(LocalguardError):
    """The other end answered a call with an error; the message is the error's name."""


class NoSuchThing(LocalguardError):
    """What a call asks for is not there."""


class SessionBus:
    """A connection. Coroutines here run on its loop, by `soon`; everything else may be called from any thread."""

    def __init__(self) -> None:
        self._methods: dict[tuple[str, str, str], Method] = {}
        self._signals: list[Callable[[str, str, str, tuple[Any, ...]], None]] = []
        self._replies: dict[int, asyncio.Future[Message]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._connection: DBusConnection | None = None
        self._loop = asyncio.new_event_loop()
        self._serving: asyncio.Task[None] | None = None
        self.on_closed: Callable[[], None] = lambda: None
        """Called when the session ends."""

    def offer(self, path: str, interface: str, member: str, method: Method) -> None:
        """Answer calls of a method."""
        self._methods[path, interface, member] = method

    def on_signal(self, heard: Callable[[str, str, str, tuple[Any, ...]], None]) -> None:
        """Hear every signal that comes: sender, interface, member, values. It must not wait."""
        self._signals.append(heard)

    def open(self) -> None:
        """Connect, in a thread of its own. Raises BusUnavailable."""
        opened: Future[None] = Future()
        threading.Thread(target=self._work, args=(opened,), name="bus", daemon=True).start()
        opened.result()

    def _work(self, opened: "Future[None]") -> None:
        self._serving = self._loop.create_task(self._serve(opened))
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._serving)

    def close(self) -> None:
        """Leave the bus. Before `open` it does nothing."""
        if self._serving is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._serving.cancel)

    def soon(self, work: Coroutine[Any, Any, object]) -> "Future[object]":
        """Do something on the connection's loop, from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    @property
    def name(self) -> str:
        """Our unique name on the bus."""
        assert self._connection is not None
        return str(self._connection.unique_name)

    async def call(
        self, to: str, path: str, interface: str, member: str, signature: str = "", *values: object
    ) -> tuple[str, tuple[Any, ...]]:
        """Call a method: who answered, and with what. Raises BusRefused, BusUnavailable."""
        message = new_method_call(DBusAddress(path, to, interface), member, signature or None, values)
        return await self._ask(message)

    async def ask_bus(self, member: str, signature: str = "", *values: object) -> tuple[Any, ...]:
        """Call a method of the bus itself."""
        address = DBusAddress("/org/freedesktop/DBus", BUS, BUS)
        return (await self._ask(new_method_call(address, member, signature or None, values)))[1]

    async def follow(self, first: str | None = None, **rule: str) -> None:
        """Have the bus pass on signals that match `sender`, `interface`, `member`, `path`; `first` is their first value."""
        match = MatchRule(type="signal", **rule)
        if first is not None:
            match.add_arg_condition(0, first)
        await self._ask(message_bus.AddMatch(match))

    async def tell(self, path: str, interface: str, member: str, signature: str = "", *values: object) -> None:
        """Send a signal to whoever listens."""
        with suppress(OSError, BusUnavailable):
            await self._send(new_signal(DBusAddress(path, interface=interface), member, signature or None, values))

    async def process_of(self, sender: str) -> int | None:
        """The id of the process behind a unique name, by the bus; None where it has gone."""
        try:
            return int((await self.ask_bus("GetConnectionUnixProcessID", "s", sender))[0])
        except (BusRefused, BusUnavailable):
            return None

    async def _ask(self, message: Message) -> tuple[str, tuple[Any, ...]]:
        connection = self._connection
        if connection is None:
            raise BusUnavailable("There is no D-Bus session.")
        serial = next(connection.outgoing_serial)
        waiting = self._replies[serial] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                await connection.send(message, serial=serial)
                reply = await waiting
        except (OSError, TimeoutError):
            raise BusUnavailable("The D-Bus session does not answer.") from None
        finally:
            self._replies.pop(serial, None)
        fields = reply.header.fields
        if reply.header.message_type is MessageType.error:
            raise BusRefused(str(fields.get(HeaderFields.error_name, "an error")))
        return str(fields.get(HeaderFields.sender, "")), tuple(reply.body)

    async def _serve(self, opened: "Future[None]") -> None:
        try:
            self._connection = connection = await open_dbus_connection("SESSION")
        except (OSError, EOFError, KeyError, ValueError, RuntimeError, TimeoutError, NotImplementedError) as error:
            opened.set_exception(BusUnavailable(f"There is no D-Bus session ({type(error).__name__})."))
            return
        except BaseException as error:
            opened.set_exception(error)
            raise
        opened.set_result(None)
        try:
            while True:
                self._dispatch(await connection.receive())
        except (EOFError, OSError):
            self.on_closed()
        finally:
            self._connection = None
            connection.writer.close()

    def _dispatch(self, message: Message) -> None:
        header, fields = message.header, message.header.fields
        if header.message_type in (MessageType.method_return, MessageType.error):
            waiting = self._replies.get(fields.get(HeaderFields.reply_serial, 0))
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
        elif header.message_type is MessageType.signal:
            names = (HeaderFields.sender, HeaderFields.interface, HeaderFields.member)
            sender, interface, member = (str(fields.get(name, "")) for name in names)
            for heard in self._signals:
                heard(sender, interface, member, tuple(message.body))
        elif header.message_type is MessageType.method_call and len(self._answering) < _MOST_ANSWERING:
            task = asyncio.get_running_loop().create_task(self._answer(message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _answer(self, message: Message) -> None:
        fields = message.header.fields
        path, interface = str(fields.get(HeaderFields.path, "")), str(fields.get(HeaderFields.interface, ""))
        method = self._methods.get((path, interface, str(fields.get(HeaderFields.member, ""))))
        try:
            if method is None:
                raise NoSuchThing
            given = method(str(fields.get(HeaderFields.sender, "")), tuple(message.body))
            signature, values = given if isinstance(given, tuple) else await given
            reply = new_method_return(message, signature or None, values)
        except NoSuchThing:
            reply = new_error(message, "org.freedesktop.DBus.Error.UnknownMethod")
        except (
            TypeError,
            ValueError,
            IndexError,
            KeyError,
            AttributeError,
        ):  # values of another form than the method's
            reply = new_error(message, "org.freedesktop.DBus.Error.InvalidArgs")
        with suppress(OSError, BusUnavailable):
            await self._send(reply)

    async def _send(self, message: Message) -> None:
        if self._connection is None:
            raise BusUnavailable("There is no D-Bus session.")
        await self._connection.send(message)
