"""Wire formats: what stands where in the bodies of each provider API. Pure: no sockets, disk or clock."""
