"""Tests of roomcast/config/show.py."""

from pathlib import Path

import orjson
import pytest

from roomcast.config import ConfigError, effective, inspect
from roomcast.config.keys import KEYS

CANARY = "sk-canary-canary-canary"


def test_every_key_is_shown_with_value_and_source_and_as_json() -> None:
    shown = effective(inspect(flags={"server.port": 9000}, environ={}, file=None))
    assert [path for path in shown if not path.startswith("profiles.")] == [
        key.path for keys in KEYS.values() for key in keys.values()
    ]
    assert shown["server.port"] == {"value": 9000, "source": "flag"}
    assert shown["upstream.api_key"] == {"value": None, "source": "default"}
    assert shown["profiles.default"]["value"]["name"] == "default"
    assert orjson.loads(orjson.dumps(shown)) == shown


def test_secrets_show_that_they_are_set_and_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(f'[[auth.tokens]]\ntoken = "{CANARY}"\nmember = "ann"\nrole = "viewer"')
    loaded = inspect(flags={}, environ={"OPENAI_API_KEY": CANARY}, file=tmp_path / "x.toml")
    shown = effective(loaded)
    assert shown["upstream.api_key"]["value"] == "***"
    assert shown["auth.tokens"]["value"] == [{"token": "***", "member": "ann", "name": "ann", "role": "viewer"}]
    assert "canary" not in str(shown) + repr(loaded)


@pytest.mark.parametrize(
    "environ",
    [
        {"OPENAI_API_KEY": f"{CANARY} {CANARY}"},
        {"ROOMCAST_UPSTREAM__API_KEY": f"{CANARY}\n{CANARY}"},
        {"ROOMCAST_UPSTREAM__API_KYE": CANARY},
        {"ROOMCAST_AUTH__TOKENS": CANARY},
        {"ROOMCAST_AUTH__TOKENS": f'[{{"token": "{CANARY}"}}]'},
        {"ROOMCAST_AUTH__TOKEN": CANARY},
        {"OPENAI_BASE_URL": f"https://me:{CANARY}@example.com"},
        {"ROOMCAST_STORAGE__URL": f"redis://:{CANARY}@host"},
    ],
)
def test_no_message_about_the_environment_repeats_a_secret(environ: dict[str, str]) -> None:
    """Catalogue X5, for settings."""
    with pytest.raises(ConfigError) as caught:
        inspect(flags={}, environ=environ, file=None)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        f'[upstream]\napi_key = "{CANARY} {CANARY}"',
        f'[upstream]\napi_key = ["{CANARY}"]',
        f'[upstream]\napi_kye = "{CANARY}"',
        f'[auth]\ntokens = "{CANARY}"',
        f'[auth.tokens]\ntoken = "{CANARY}"',
        f'[[auth.tokens]]\ntoken = "{CANARY}"',
        f'[upstream]\napi_key = "{CANARY}',
        f'= "{CANARY}"',
    ],
)
def test_no_message_about_the_file_repeats_a_secret(content: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(content)
    with pytest.raises(ConfigError) as caught:
        inspect(flags={}, environ={}, file=tmp_path / "x.toml")
    assert "canary" not in str(caught.value)
