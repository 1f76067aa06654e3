"""TCP sockets of this machine as Linux tells of them: one by NETLINK_SOCK_DIAG (`linux/inet_diag.h`), or all by `/proc/net/tcp`."""

import ipaddress
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from localguard.config.endpoint_address import literal_address

Address = tuple[str, int]
"""Host (a literal IPv4 or IPv6 address, without scope) and port."""

_SOCK_DIAG_BY_FAMILY = 20
_NETLINK_SOCK_DIAG = 4
_NLM_F_REQUEST = 1


def inode_by_netlink(local: Address, peer: Address) -> tuple[int, int] | None:
    """Ask the kernel for exactly one socket; return (inode, uid), or None if it will not say."""
    client, server = literal_address(peer[0]), literal_address(local[0])
    if client is None or server is None or client.version != server.version:
        return None
    family = socket.AF_INET if client.version == 4 else socket.AF_INET6
    identity = struct.pack("!HH16s16s", peer[1], local[1], client.packed, server.packed) + struct.pack(
        "=III", 0, 0xFFFFFFFF, 0xFFFFFFFF
    )
    body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + identity
    header = struct.pack("=IHHII", 16 + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as netlink:
            netlink.settimeout(0.2)
            netlink.sendto(header + body, (0, 0))
            answer = netlink.recv(4096)
    except OSError:
        return None
    if len(answer) < 16 + 72 or struct.unpack_from("=H", answer, 4)[0] != _SOCK_DIAG_BY_FAMILY:
        return None  # an error message: no such socket
    # struct inet_diag_msg: family state timer retrans (4), id (48), expires rqueue wqueue uid inode (4 each)
    uid, inode = struct.unpack_from("=II", answer, 16 + 4 + 48 + 12)
    return (inode, uid) if inode else None


@dataclass(frozen=True, slots=True)
class TcpEntry:
    """One line of `/proc/net/tcp` or `tcp6`; v4-mapped addresses are given as IPv4."""

    local: Address
    remote: Address
    established: bool
    uid: int
    inode: int


def tcp_table() -> list[TcpEntry]:
    """Return every TCP socket of this network namespace (Linux); empty where the table cannot be read."""
    entries = []
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{name}").read_text("ascii").splitlines()[1:]
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 9:
                entries.append(
                    TcpEntry(
                        _table_address(fields[1]),
                        _table_address(fields[2]),
                        fields[3] == "01",
                        int(fields[7]),
                        int(fields[9]),
                    )
                )
    return entries


def _table_address(text: str) -> Address:
    host, port = text.split(":")
    words = struct.unpack(f">{len(host) // 8}I", bytes.fromhex(host))
    packed = struct.pack(f"={len(words)}I", *words)
    address = literal_address(str(ipaddress.ip_address(packed)))
    return str(address), int(port, 16)


def inode_by_table(local: Address, peer: Address) -> tuple[int, int] | None:
    """Look the socket up in the table; return (inode, uid), or None where it is not there."""
    client, server = literal_address(peer[0]), literal_address(local[0])
    wanted = ((str(client), peer[1]), (str(server), local[1]))
    for entry in tcp_table():
        if (entry.local, entry.remote) == wanted and entry.inode:
            return entry.inode, entry.uid
    return None
