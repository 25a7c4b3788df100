"""A pool that forgets the connections of clients that have gone.

Each request takes the connection from the pool and puts it back. When the
client has closed its side, the pool drops nothing: the connection stays in
the list, and its descriptor open.

    sockleak run --grace=200ms -- /usr/bin/python3 examples/pool.py

README.md shows what it prints.
"""
import socket
import time


class Pool:
    def __init__(self):
        self.connections = []

    def take(self, listener):
        connection, _ = listener.accept()
        self.connections.append(connection)
        return connection

    def serve(self, listener):
        connection = self.take(listener)
        while connection.recv(256):
            pass  # takes what comes
        # and connection? The list has it still.


def main():
    pool = Pool()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(3):
            with socket.create_connection(listener.getsockname()) as client:
                client.sendall(b"GET /")
                client.shutdown(socket.SHUT_WR)
                pool.serve(listener)
    time.sleep(1.5)


print("expect close-wait eof-read 3 accept4 Pool.take pool.py:20")
main()
