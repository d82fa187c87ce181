"""The network side of the line: sockets, the clock, names and addresses, and the driver that runs a machine on them."""
