"""Policy: may this work go to this endpoint, and with which obligations. Pure: no sockets, disk or clock."""
