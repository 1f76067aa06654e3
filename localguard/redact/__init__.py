"""Redaction and restoration: placeholders for values, and back. Pure: no sockets, disk or clock."""
