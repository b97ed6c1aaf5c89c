"""Tests of roomcast/client/reason.py."""

from __future__ import annotations

import socket

import pytest

from roomcast.client.reason import reason


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "there is no such host"),
        (TimeoutError("timed out during opening handshake"), "nobody answered in time"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed …"), "nobody answers there"),
        (EOFError("stream ended"), "stream ended"),
        (EOFError(), "EOFError"),
    ],
)
def test_a_failure_is_said_in_a_few_words(error: Exception, said: str) -> None:
    assert reason(error) == said
