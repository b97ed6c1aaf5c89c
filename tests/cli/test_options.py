"""Tests of roomcast/cli/options.py; what is refused is in test_app.py."""

from __future__ import annotations

from pathlib import Path

from roomcast.cli.options import settings_flags
from roomcast.config import load


def test_flags_are_named_as_the_settings_are() -> None:
    settings = load(flags=settings_flags("127.0.0.2", 9000, Path("there"), 1), environ={}, file=None)
    assert (settings.server.host, settings.server.port, settings.storage.data) == ("127.0.0.2", 9000, "there")


def test_flags_that_were_not_given_leave_the_settings_alone() -> None:
    environ = {"ROOMCAST_SERVER__PORT": "9001"}
    assert load(flags=settings_flags(None, None, None, None), environ=environ, file=None).server.port == 9001
