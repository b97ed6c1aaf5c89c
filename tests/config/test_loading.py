"""Tests of roomcast/config/loading.py: the whole way, as the command line uses it."""

from collections.abc import Mapping
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from roomcast.config import ConfigError, inspect, load
from roomcast.core.session import Role
from roomcast.core.settings import Secret, Settings

TOKENS = '[{"token": "0123456789abcdef", "member": "ann", "role": "owner"}]'


def loaded(environ: Mapping[str, str] | None = None, *, file: Path | None = None, **flags: object) -> Settings:
    by_path = {name.replace("__", "."): value for name, value in flags.items()}
    return load(flags=by_path, environ=environ or {}, file=file)


def test_nothing_given_serves_the_demo_model_on_loopback_with_a_file_in_the_data_folder() -> None:
    settings = loaded()
    assert settings.simulated
    assert (settings.server.host, settings.server.port, settings.auth.mode) == ("127.0.0.1", 8080, "off")
    assert settings.storage.url == "sqlite:///./roomcast-data/roomcast.db"
    assert settings.profiles["default"].model == settings.upstream.model != ""


def test_a_key_or_a_base_address_ends_the_simulation() -> None:
    assert not loaded({"OPENAI_API_KEY": "sk-abc"}).simulated
    assert not loaded({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}).simulated


def test_every_documented_variable_of_the_upstream_arrives() -> None:
    upstream = loaded(
        {
            "OPENAI_API_KEY": "sk-abc",
            "OPENAI_BASE_URL": "http://127.0.0.1:1/v1/",
            "OPENAI_ORG_ID": "org-1",
            "OPENAI_PROJECT_ID": "proj_1",
            "ROOMCAST_UPSTREAM__API": "chat_completions",
            "ROOMCAST_UPSTREAM__MODEL": "m1",
            "ROOMCAST_UPSTREAM__FIRST_OUTPUT_TIMEOUT_S": "5",
        }
    ).upstream
    assert (upstream.api_key, upstream.base_url) == (Secret("sk-abc"), "http://127.0.0.1:1/v1")
    assert (upstream.organization, upstream.project) == ("org-1", "proj_1")
    assert (upstream.api, upstream.model, upstream.first_output_timeout_s) == ("chat_completions", "m1", 5.0)


def test_the_data_folder_moves_the_store() -> None:
    assert loaded(storage__data="/var/lib/rc").storage.url == "sqlite:////var/lib/rc/roomcast.db"
    assert loaded({"ROOMCAST_STORAGE__URL": "memory://"}).storage.url == "memory://"


def test_another_address_asks_for_tokens_by_itself() -> None:
    settings = loaded({"ROOMCAST_AUTH__TOKENS": TOKENS}, server__host="0.0.0.0")
    assert settings.auth.mode == "token"
    assert settings.auth.tokens[0].role is Role.OWNER


def test_tokens_can_be_asked_for_on_loopback_too() -> None:
    assert loaded({"ROOMCAST_AUTH__TOKENS": TOKENS, "ROOMCAST_AUTH__MODE": "token"}).auth.mode == "token"


def test_another_address_without_tokens_does_not_start() -> None:
    with pytest.raises(ConfigError, match=r"\[\[auth.tokens\]\]"):
        loaded(server__host="0.0.0.0")


def test_a_token_that_will_not_do_is_not_reported_as_missing_too() -> None:
    with pytest.raises(ConfigError) as caught:
        loaded({"ROOMCAST_AUTH__TOKENS": "[{}]"}, server__host="0.0.0.0")
    assert len(caught.value.problems) == 1


def test_all_mistakes_are_reported_at_once() -> None:
    environ = {
        "PORT": "x",
        "ROOMCAST_UPSTREAM__API": "y",
        "ROOMCAST_FOO__BAR": "1",
        "ROOMCAST_LIMITS__TAIL_EVENTS": "0",
    }
    with pytest.raises(ConfigError) as caught:
        loaded(environ, server__workers=2)
    named = ("foo.bar", "server.port", "upstream.api", "limits.tail_events", "server.workers")
    assert [problem.split(" ")[0] for problem in caught.value.problems] == list(named)


def test_the_file_is_named_by_argument_or_variable_and_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    for name in ("config/roomcast.toml", "roomcast.toml"):
        (tmp_path / name).write_text("[server]\nport = 9000")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "roomcast.toml"
    assert loaded().server.port == 8080
    assert loaded(file=file).server.port == 9000
    assert loaded({"ROOMCAST_CONFIG": str(file)}).server.port == 9000
    with pytest.raises(ConfigError, match="No such file"):
        loaded({"ROOMCAST_CONFIG": str(tmp_path / "other.toml")})


def test_profiles_are_read_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "tutor.toml").write_text('instructions = "Teach."')
    (tmp_path / "x.toml").write_text('[upstream]\nmodel = "m1"')
    profiles = loaded(file=tmp_path / "x.toml").profiles
    assert sorted(profiles) == ["default", "tutor"]
    assert {profile.model for profile in profiles.values()} == {"m1"}


def test_the_source_of_each_value_is_known(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('[log]\nlevel = "debug"')
    sources = inspect(
        flags={"server.port": 1}, environ={"PORT": "2", "OPENAI_API_KEY": "k"}, file=tmp_path / "x.toml"
    ).sources
    assert sources["server.port"] == "flag"
    assert sources["upstream.api_key"] == "environment OPENAI_API_KEY"
    assert sources["log.level"] == f"file {tmp_path / 'x.toml'}"
    assert sources["server.host"] == sources["profiles.default"] == "default"


def test_what_must_not_show_is_handed_to_whoever_writes_logs() -> None:
    settings = loaded({"OPENAI_API_KEY": "sk-abc", "ROOMCAST_AUTH__TOKENS": TOKENS})
    assert [secret.value for secret in settings.secrets] == ["sk-abc", "0123456789abcdef"]
    assert loaded().secrets == ()


@given(st.integers(0, 65_535), st.integers(0, 65_535), st.integers(0, 65_535), st.sets(st.sampled_from("feo")))
def test_whatever_is_given_the_first_in_order_wins(flag: int, variable: int, other: int, given_by: set[str]) -> None:
    environ = ({"ROOMCAST_SERVER__PORT": str(variable)} if "e" in given_by else {}) | (
        {"PORT": str(other)} if "o" in given_by else {}
    )
    settings = loaded(environ, server__port=flag if "f" in given_by else None)
    order = [("f", flag), ("e", variable), ("o", other)]
    assert settings.server.port == next((port for by, port in order if by in given_by), 8080)
