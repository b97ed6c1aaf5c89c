"""Tests of roomcast/upstream/demo/__main__.py: the program that users and other tests start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from openai import OpenAI

import roomcast.upstream.demo


@contextmanager
def program(*arguments: str) -> Generator[subprocess.Popen[str]]:
    source_root = Path(roomcast.upstream.demo.__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-m", "roomcast.upstream.demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source_root)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_it_prints_its_address_answers_and_ends_on_ctrl_c() -> None:
    with program("--port", "0", "--first-token-ms", "0", "--tokens-per-second", "inf", "--model", "other") as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        with OpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
            response = client.responses.create(model="any", input="short")
        assert response.model == "other"
        assert "Simulated" in response.output_text
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=10)
        assert (process.returncode, rest, errors) == (130, "", "")


@pytest.mark.parametrize("arguments", [("--jitter", "2"), ("--nonsense",)])
def test_a_wrong_argument_is_named_and_nothing_starts(arguments: tuple[str, ...]) -> None:
    with program(*arguments) as process:
        out, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert out == ""
    assert arguments[0].strip("-") in errors
