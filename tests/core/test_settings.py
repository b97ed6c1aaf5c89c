"""Tests of roomcast/core/settings.py."""

from __future__ import annotations

import pytest

from roomcast.core.session import Role
from roomcast.core.settings import AuthSettings, Secret, Settings, StaticToken, UpstreamSettings


def test_x5_a_secret_shows_itself_to_nobody_who_prints_it() -> None:
    settings = Settings(upstream=UpstreamSettings(api_key=Secret("sk-canary")))
    assert "sk-canary" not in f"{settings} {settings!r} {settings.upstream.api_key}"
    assert settings.upstream.api_key is not None
    assert settings.upstream.api_key.value == "sk-canary"


@pytest.mark.parametrize(
    ("upstream", "simulated"),
    [
        (UpstreamSettings(), True),
        (UpstreamSettings(api_key=Secret("sk")), False),
        (UpstreamSettings(base_url="http://127.0.0.1:1/v1"), False),
    ],
)
def test_the_demo_model_answers_where_there_is_neither_key_nor_address(
    upstream: UpstreamSettings, *, simulated: bool
) -> None:
    assert Settings(upstream=upstream).simulated is simulated


def test_x5_whoever_writes_logs_can_learn_what_must_never_show() -> None:
    token = StaticToken(token=Secret("t-canary"), member="ann", name="Ann", role=Role.OWNER)
    settings = Settings(
        upstream=UpstreamSettings(api_key=Secret("sk-canary")), auth=AuthSettings(mode="token", tokens=[token])
    )
    assert [secret.value for secret in settings.secrets] == ["sk-canary", "t-canary"]
    assert Settings().secrets == ()


def test_the_documented_defaults() -> None:
    settings = Settings()
    upstream = settings.upstream
    assert upstream.api == "responses"
    assert (upstream.first_output_timeout_s, upstream.idle_timeout_s, upstream.total_timeout_s) == (60, 30, 600)
    assert (settings.rooms.on_busy, settings.rooms.orphan_grace_s) == ("enqueue", None)
    assert (settings.storage.url, settings.storage.durability) == ("sqlite:///{data}/roomcast.db", "process")
    assert (settings.server.host, settings.server.port, settings.server.drain_timeout_s) == ("127.0.0.1", 8080, 30)
    assert (settings.auth.mode, list(settings.profiles)) == ("off", ["default"])
