"""Tests of roomcast/config/tokens.py."""

from pathlib import Path

import pytest

from roomcast.config.problems import ConfigError, Problems
from roomcast.config.sources import Given
from roomcast.config.tokens import decode_tokens
from roomcast.core.session import Role
from roomcast.core.settings import Secret, StaticToken

CANARY = "canary-canary-canary"
ANN = {"token": CANARY, "member": "ann", "name": "Ann", "role": "owner"}


def decoded(raw: object, folder: Path = Path(), environ: dict[str, str] | None = None) -> tuple[StaticToken, ...]:
    problems = Problems()
    given = Given(raw, "file x.toml", lenient=False, folder=folder)
    tokens = decode_tokens(given, environ=environ or {}, name_characters=64, problems=problems)
    problems.raise_if_any()
    return tokens


def test_a_token_stands_for_a_member_with_a_role() -> None:
    assert decoded([ANN]) == (StaticToken(token=Secret(CANARY), member="ann", name="Ann", role=Role.OWNER),)


def test_a_token_can_be_kept_in_a_file_or_a_variable(tmp_path: Path) -> None:
    (tmp_path / "ann.token").write_text(f"{CANARY}\n")
    rest = {"member": "ann", "role": "viewer"}
    by_file = decoded([{**rest, "token_file": "ann.token"}], folder=tmp_path)
    by_variable = decoded([{**rest, "token_env": "ANN"}], environ={"ANN": CANARY})
    assert by_file == by_variable == (StaticToken(token=Secret(CANARY), member="ann", name="ann", role=Role.VIEWER),)


def test_the_environment_gives_them_as_json() -> None:
    assert decoded(f'[{{"token": "{CANARY}", "member": "ann", "name": "Ann", "role": "owner"}}]') == decoded([ANN])


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({**ANN, "token": CANARY[:15]}, "at least 16 characters"),
        ({**ANN, "token": f"{CANARY} {CANARY}"}, "visible ASCII"),
        ({**ANN, "token": 5}, "visible ASCII"),
        ({**ANN, "token_env": "ANN"}, "exactly one of token, token_file, token_env"),
        ({"member": "ann", "role": "owner"}, "exactly one of token, token_file, token_env"),
        ({"member": "ann", "role": "owner", "token_env": "UNSET"}, "token_env to name a variable"),
        ({"member": "ann", "role": "owner", "token_file": "nowhere"}, "readable file"),
        ({**ANN, "role": "admin"}, "one of viewer, speaker, moderator, owner"),
        ({"token": CANARY, "member": "ann"}, "role to be one of"),
        ({**ANN, "member": "system"}, "system is the server itself"),
        ({**ANN, "member": "a b"}, "member to be 1 to 64"),
        ({**ANN, "name": "x" * 65}, "name to be 1 to 64"),
        ({**ANN, "name": "a\x1b[31m"}, "name to be 1 to 64"),
        ({**ANN, "rôle": "owner"}, "rôle is unknown"),
    ],
)
def test_a_mistake_in_an_entry_is_named_without_its_token(entry: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decoded([entry])
    assert expected in str(caught.value)
    assert "in entry 1" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_two_members_cannot_have_the_same_token() -> None:
    with pytest.raises(ConfigError, match="entry 2; an earlier entry has the same"):
        decoded([ANN, {**ANN, "member": "bob"}])


@pytest.mark.parametrize("raw", [CANARY, "{", "5", {"token": CANARY}, [CANARY], 5])
def test_what_is_no_list_of_tables_is_refused_and_not_repeated(raw: object) -> None:
    with pytest.raises(ConfigError) as caught:
        decoded(raw)
    assert "canary" not in str(caught.value)
