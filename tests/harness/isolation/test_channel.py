"""A frame is bounded, whole and in time, or it is none."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from harness.isolation.channel import HEAD, MOST_JSON, MOST_MEMORY, Channel, Ended, Silent, deadline_in
from harness.isolation.unpacking import ProtocolError


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield Channel(ours), theirs
    ours.close()
    theirs.close()


def test_a_frame_with_memory(ends: tuple[Channel, socket.socket]) -> None:
    ours, theirs = ends
    Channel(theirs).send({"do": "run", "numbers": [0.1, 2]}, [b"abc", b"", b"de"])
    body, memory = ours.receive(deadline_in(5))
    assert body == {"do": "run", "numbers": [0.1, 2]} and memory == [b"abc", b"", b"de"]


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[1]",
        b"\xff",
        b'{"body": 1}',
        b'{"body": 1, "memory": [1]}',
        b'{"body": 1, "memory": [-1, 1]}',
        b'{"body": 1, "memory": ["0"]}',
        b'{"body": 1, "memory": 0}',
        b"[" * 200_000,
        json.dumps({"body": 1}).encode()[:-1] + b', "n": ' + b"1" * 5000 + b"}",
    ],
    ids=lambda text: str(text[:30]),
)
def test_what_is_no_frame(ends: tuple[Channel, socket.socket], text: bytes) -> None:
    ours, theirs = ends
    sender = threading.Thread(target=theirs.sendall, args=(HEAD.pack(len(text), 0) + text,))
    sender.start()
    with pytest.raises(ProtocolError):
        ours.receive(deadline_in(5))
    sender.join()


@pytest.mark.parametrize("head", [HEAD.pack(MOST_JSON + 1, 0), HEAD.pack(2, MOST_MEMORY + 1)])
def test_nobody_is_believed_that_a_frame_is_huge(ends: tuple[Channel, socket.socket], head: bytes) -> None:
    ours, theirs = ends
    theirs.sendall(head)
    with pytest.raises(ProtocolError):
        ours.receive(deadline_in(5))


def test_one_deadline_however_it_trickles(ends: tuple[Channel, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(HEAD.pack(1000, 0))
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.02):
            theirs.sendall(b" ")

    sender = threading.Thread(target=trickle)
    sender.start()
    with pytest.raises(Silent):
        ours.receive(deadline_in(0.2))
    stop.set()
    sender.join()


def test_silence_and_the_end(ends: tuple[Channel, socket.socket]) -> None:
    ours, theirs = ends
    with pytest.raises(Silent):
        ours.receive(deadline_in(0.05))
    with pytest.raises(Silent):  # nobody reads
        ours.send("x", [bytes(1 << 24)], deadline_in(0.05))
    theirs.close()
    with pytest.raises(Ended):
        ours.receive()
