"""Why a connection could not be made, in the system's words and without the address."""

from __future__ import annotations

import os
import socket

__all__ = ["reason"]


def reason(error: Exception) -> str:
    """Say it in a few lower-case words: libraries' own messages repeat addresses and numbers."""
    if isinstance(error, socket.gaierror):
        return "there is no such host"
    if isinstance(error, TimeoutError):
        return "nobody answered in time"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    if isinstance(error, OSError):
        return "nobody answers there"  # several addresses were tried, each failed for its own reason
    return str(error) or type(error).__name__
