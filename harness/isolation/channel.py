"""Frames between two processes: a bounded JSON body, and the memory of the tensors in it.

A frame is ``<json bytes> <memory bytes>`` (two unsigned 64-bit numbers), the JSON, and the memory. The JSON is an
object with ``body``, and ``memory``: the sizes of the pieces that the memory is cut into.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

from harness.isolation.unpacking import ProtocolError

HEAD = struct.Struct("<QQ")
MOST_JSON = 1 << 26
MOST_MEMORY = 1 << 28
CHUNK = 1 << 20


class Silent(Exception):
    """No reply came in time."""


class Ended(Exception):
    """The other end is gone."""


def deadline_in(seconds: float) -> float | None:
    """The moment so many seconds from now on the monotonic clock; None for 0, which is no limit."""
    return time.monotonic() + seconds if seconds > 0 else None


class Channel:
    """One end of a pair of sockets. Every call has one deadline (a moment of the monotonic clock; None for none)."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end

    def send(self, body: Any, blobs: Sequence[bytes] = (), deadline: float | None = None) -> None:
        """Send a frame. Raises Ended where nobody is there, Silent where nobody reads."""
        text = json.dumps({"body": body, "memory": [len(blob) for blob in blobs]}).encode()
        head = HEAD.pack(len(text), sum(map(len, blobs)))
        try:
            for part in (head + text, *blobs):
                self.socket.settimeout(_left(deadline))
                self.socket.sendall(part)
        except TimeoutError:
            raise Silent("it does not read what it is sent") from None
        except OSError:
            raise Ended("its process has ended") from None

    def receive(self, deadline: float | None = None) -> tuple[Any, list[bytearray]]:
        """The body of the next frame, and the pieces of its memory. Raises Ended, Silent or ProtocolError."""
        size, memory = HEAD.unpack(self._exactly(HEAD.size, deadline))
        if size > MOST_JSON or memory > MOST_MEMORY:
            raise ProtocolError("a frame that is too large")
        text = self._exactly(size, deadline)
        try:
            frame = json.loads(text.decode())
            body, cuts = frame["body"], frame["memory"]
        except (ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
            raise ProtocolError(f"no frame: {type(error).__name__}") from None
        if type(cuts) is not list or any(type(cut) is not int or cut < 0 for cut in cuts) or sum(cuts) != memory:
            raise ProtocolError("memory that is not cut as it says")
        return body, [self._exactly(cut, deadline) for cut in cuts]

    def close(self) -> None:
        """Close this end."""
        self.socket.close()

    def _exactly(self, size: int, deadline: float | None) -> bytearray:
        """So many bytes. Memory is taken as it comes: nobody is believed that there is more."""
        found = bytearray()
        while len(found) < size:
            try:
                self.socket.settimeout(_left(deadline))
                part = self.socket.recv(min(size - len(found), CHUNK))
            except TimeoutError:
                raise Silent("no answer came in time") from None
            except OSError:
                part = b""
            if not part:
                raise Ended("its process has ended")
            found += part
        return found


def _left(deadline: float | None) -> float | None:
    """Seconds until a deadline. Raises Silent where it has passed."""
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise Silent("no answer came in time")
    return left
