"""Reports: what the log says of a period, folded in one pass and written as a page, JSON or a table. Nothing here opens a socket."""
