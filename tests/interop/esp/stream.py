"""In the guest: what comes on a connection to 7100 + n goes back on it, and again on one from 1000 below to 1 above."""

import socket
import threading

HOSTS = ("10.93.0.1", "fd93::1")
PORTS = range(7100, 7106)


def serve(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.bind((host, port))
    listener.listen()
    while True:
        connection, source = listener.accept()
        data = b""
        while not data.endswith(b"end"):
            data += connection.recv(65535)
        connection.sendall(data)
        with socket.socket(family) as call:
            call.bind((host, port - 1000))
            call.connect((source[0], source[1] + 1))
            call.sendall(data)
            call.recv(1)  # until the other side ends it
        connection.close()


for host in HOSTS:
    for port in PORTS:
        threading.Thread(target=serve, args=(host, port)).start()
