"""In the guest: sends a datagram back from the port 1000 below to the port 1 above, as a P-CSCF's client port does."""

import selectors
import socket
import sys

HOSTS = ("10.93.0.1", "fd93::1")
PORTS = range(6100, 6106)
watch = selectors.DefaultSelector()
clients: dict[socket.socket, socket.socket] = {}
for host in HOSTS:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in PORTS:
        server, client = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        server.bind((host, port))
        client.bind((host, port - 1000))
        clients[server] = client
        watch.register(server, selectors.EVENT_READ)
print("the guest is up", file=sys.stderr, flush=True)
while True:
    for key, _ in watch.select():
        data, source = key.fileobj.recvfrom(65535)
        clients[key.fileobj].sendto(data, (source[0], source[1] + 1))
