"""A server with one mistake; the second test leaves the socket behind that it loses."""

import socket

import pytest

lost = []  # what a handler still refers to is not closed when it returns


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def answer(listener):
    connection, _ = listener.accept()
    request = connection.recv(64)
    if request != b"ping\n":
        lost.append(connection)  # the mistake
        return False
    with connection:
        connection.sendall(b"pong\n")
    return True


def ask(listener, text):
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(text)
        return answer(listener)


def test_answers_a_ping(listener):
    assert ask(listener, b"ping\n")


def test_refuses_nonsense(listener):
    assert not ask(listener, b"nonsense\n")


def test_answers_after_nonsense(listener):
    assert ask(listener, b"ping\n")
