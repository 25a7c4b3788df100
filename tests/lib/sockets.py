"""Makes sockets whose peer is gone, for tests of `sockleak scan`: prints the port and its
own pid, then waits until standard input ends."""

import os
import socket
import sys
import time

kept = []


def listen(host="127.0.0.1", protocol=0):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, protocol)
    listener.bind((host, 0))
    listener.listen(8)
    kept.append(listener)
    return listener


def pair(host="127.0.0.1", protocol=0):
    """(the side that accepted, the side that connected, the listening port)"""
    listener = listen(host, protocol)
    peer = socket.socket(listener.family, socket.SOCK_STREAM, protocol)
    peer.connect(listener.getsockname()[:2])
    accepted = listener.accept()[0]
    kept.append(accepted)
    return accepted, peer, listener.getsockname()[1]


def until_state(sock, *states, seconds=60):
    """tcpi_state is the first byte of TCP_INFO"""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[0]
        if state in states:
            return
        time.sleep(0.005)
    sys.exit(f"the socket never came to state {states}, but is in {state}")


CLOSE_WAIT, LAST_ACK, CLOSING = 8, 9, 11


def unread(host="127.0.0.1"):
    accepted, peer, port = pair(host)
    peer.send(b"hello")
    peer.close()
    until_state(accepted, CLOSE_WAIT)
    return port


def growing():
    """one that is unread, and one more for each line of standard input"""
    listener = listen()
    port = listener.getsockname()[1]

    def one():
        peer = socket.create_connection(("127.0.0.1", port))
        accepted = listener.accept()[0]
        peer.close()
        until_state(accepted, CLOSE_WAIT)
        kept.append(accepted)

    one()
    print(port, os.getpid(), flush=True)
    for _ in sys.stdin:
        one()
    sys.exit()


def renamed():
    with open("/proc/self/comm", "w") as name:
        name.write("a\033[31mb")
    return unread()


def read(host="127.0.0.1"):
    accepted, peer, port = pair(host)
    peer.close()
    assert accepted.recv(1) == b""
    return port


def half_closed():
    """the peer shuts its write side, and stays"""
    accepted, peer, port = pair()
    kept.append(peer)
    peer.shutdown(socket.SHUT_WR)
    assert accepted.recv(1) == b""
    return port


def successor():
    """the peer's port is another connection's once the peer has forgotten this one"""
    accepted, peer, port = pair()
    other = listen()
    name = peer.getsockname()
    peer.close()
    assert accepted.recv(1) == b""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        follower = socket.socket()
        follower.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            follower.bind(name)
            follower.connect(other.getsockname())
        except OSError:
            follower.close()
            time.sleep(0.02)
            continue
        kept.append(follower)
        return port
    sys.exit("the peer's port never became free")


def shared():
    """three descriptors in this process, three in a child"""
    port = unread()
    kept.append(kept[-1].dup())
    kept.append(kept[-1].dup())
    if os.fork() == 0:
        sys.stdin.read()
        os._exit(0)
    return port


def queue(host="127.0.0.1"):
    """two that are never accepted"""
    listener = listen(host)
    for text in (b"xy", b""):
        peer = socket.create_connection(
            ("127.0.0.1" if host == "::" else host, listener.getsockname()[1])
        )
        peer.send(text)
        peer.close()
    return listener.getsockname()[1]


def queues():
    """of two listeners, three each that are never accepted, by turns"""
    listeners = [listen(), listen()]
    for _ in range(3):
        for listener in listeners:
            socket.create_connection(listener.getsockname()).close()
            time.sleep(0.002)
    return listeners[0].getsockname()[1]


def connected():
    """the side that connected keeps it; the port is its own"""
    accepted, peer, _ = pair()
    kept.append(peer)
    accepted.close()
    kept.remove(accepted)
    until_state(peer, CLOSE_WAIT)
    return peer.getsockname()[1]


def fill(sock):
    sock.setblocking(False)
    try:
        while True:
            sock.send(bytes(65536))
    except BlockingIOError:
        pass


def last_ack():
    """its FIN waits behind data that the peer does not read"""
    accepted, peer, port = pair()
    kept.append(peer)
    fill(accepted)
    peer.shutdown(socket.SHUT_WR)
    until_state(accepted, CLOSE_WAIT)
    accepted.shutdown(socket.SHUT_WR)
    until_state(accepted, LAST_ACK)
    return port


def closing():
    accepted, peer, port = pair()
    kept.append(peer)
    fill(accepted)
    accepted.shutdown(socket.SHUT_WR)
    peer.shutdown(socket.SHUT_WR)
    until_state(accepted, CLOSING)
    return port


def orphan():
    """closed by this program: the kernel finishes it alone"""
    port = last_ack()
    kept[-2].close()
    return port


def healthy():
    """a connection, and one that only this side has closed"""
    accepted, peer, port = pair()
    kept.append(peer)
    other, other_peer, _ = pair()
    kept.append(other_peer)
    other.shutdown(socket.SHUT_WR)
    return port


def bound():
    """unread, and a socket that is bound and no more: the kernel says less of it"""
    lone = socket.socket()
    lone.bind(("127.0.0.1", 0))
    kept.append(lone)
    return unread()


def mptcp_of_known_listener():
    """two that have the cookie of their listener, which somebody asked for before"""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.getsockopt(socket.SOL_SOCKET, 57, 8)  # SO_COOKIE
    for _ in range(2):
        peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
        peer.connect(listener.getsockname())
        accepted = listener.accept()[0]
        peer.close()
        assert accepted.recv(1) == b""
        kept.append(accepted)
    kept.append(listener)
    return listener.getsockname()[1]


def mptcp():
    accepted, peer, port = pair(protocol=262)
    peer.close()
    assert accepted.recv(1) == b""
    return port


if __name__ == "__main__":
    print(globals()[sys.argv[1]](*sys.argv[2:]), os.getpid(), flush=True)
    sys.stdin.read()
