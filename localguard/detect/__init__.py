"""Detection: which spans of a text are secrets or personal data. Pure: no sockets, disk or clock."""
