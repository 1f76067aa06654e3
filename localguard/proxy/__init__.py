"""The daemon: sockets, the main path of a request, the control API."""
