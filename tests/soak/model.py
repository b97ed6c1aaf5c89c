"""The demo model in a process of its own: what its faults cost (bodies of 20 MB and the like) is not the server's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["demo_model"]

KEY = "sk-soak"


@contextmanager
def demo_model(tokens_per_second: float) -> Generator[dict[str, str]]:
    """Run it; gives the settings of a server that speaks to it."""
    arguments = ["--faults", "--api-key", KEY, "--tokens-per-second", str(tokens_per_second), "--first-token-ms", "20"]
    command = [sys.executable, "-m", "roomcast.upstream.demo", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().strip()
            assert base_url, f"the model did not start (status {process.poll()})"
            yield {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": base_url}
        finally:
            process.terminate()
