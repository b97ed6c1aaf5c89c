"""Tests of roomcast/config/sources.py."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from roomcast.config.problems import ConfigError, Problems, Unfit
from roomcast.config.sources import Given, gather, read_secret, read_table


def gathered(
    *,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Mapping[str, object] | None = None,
    path: Path | None = None,
) -> dict[str, Given]:
    problems = Problems()
    found = gather(flags or {}, environ or {}, file or {}, path, problems)
    problems.raise_if_any()
    return found


def test_a_flag_goes_before_the_environment_and_that_before_the_file() -> None:
    everything = gathered(
        flags={"server.port": 1, "server.host": None},
        environ={"ROOMCAST_SERVER__PORT": "2", "ROOMCAST_SERVER__HOST": "h2"},
        file={"server": {"port": 3, "host": "h3", "workers": 1}},
        path=Path("x.toml"),
    )
    assert {path: (given.raw, given.source) for path, given in everything.items()} == {
        "server.port": (1, "flag"),
        "server.host": ("h2", "environment ROOMCAST_SERVER__HOST"),
        "server.workers": (1, "file x.toml"),
    }


@pytest.mark.parametrize(
    ("variable", "path"),
    [
        ("OPENAI_API_KEY", "upstream.api_key"),
        ("OPENAI_BASE_URL", "upstream.base_url"),
        ("OPENAI_ORG_ID", "upstream.organization"),
        ("OPENAI_PROJECT_ID", "upstream.project"),
        ("PORT", "server.port"),
    ],
)
def test_names_of_other_programs_are_read_but_ours_go_before(variable: str, path: str) -> None:
    ours = f"ROOMCAST_{path.replace('.', '__').upper()}"
    assert gathered(environ={variable: "theirs"})[path].source == f"environment {variable}"
    assert gathered(environ={variable: "theirs", ours: "ours"})[path].raw == "ours"


def test_an_empty_variable_is_unset() -> None:
    assert gathered(environ={"OPENAI_API_KEY": "", "ROOMCAST_ROOMS__ORPHAN_GRACE_S": "", "PORT": " "}) == {}


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY_FILE", "ROOMCAST_UPSTREAM__API_KEY_FILE"])
def test_a_secret_can_come_from_a_file_and_loses_its_last_newline(variable: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-abc\n")
    assert gathered(environ={variable: str(tmp_path / "key")})["upstream.api_key"].raw == "sk-abc"


def test_a_file_named_in_the_settings_file_is_looked_for_beside_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-abc\r\n")
    found = gathered(file={"upstream": {"api_key_file": "key"}}, path=tmp_path / "x.toml")
    assert found["upstream.api_key"].raw == "sk-abc"


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"ROOMCAST_SERVER__PROT": "1"}, "server.prot (environment ROOMCAST_SERVER__PROT): unknown key; did you mean"),
        ({"ROOMCAST_SEVER__PORT": "1"}, "sever.port (environment ROOMCAST_SEVER__PORT): unknown key; did you mean"),
        ({"ROOMCAST_SERVER__PORT_FILE": "x"}, "unknown key"),  # only secrets come from files
        ({"ROOMCAST_LOG_LEVEL": "debug"}, "two underscores are needed: ROOMCAST_LOG__LEVEL"),
        ({"OPENAI_API_KEY": "a", "OPENAI_API_KEY_FILE": "b"}, "given as a value and as a file; keep one"),
        (
            {"OPENAI_API_KEY_FILE": "/nowhere/key"},
            "upstream.api_key (environment OPENAI_API_KEY_FILE): expected a read",
        ),
    ],
)
def test_a_mistake_in_the_environment_is_named(environ: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        gathered(environ=environ)
    assert len(caught.value.problems) == 1
    assert problem in caught.value.problems[0]


def test_names_that_kubernetes_makes_for_a_service_called_roomcast_are_not_ours() -> None:
    assert gathered(environ={"ROOMCAST_PORT": "tcp://10.0.0.1:80", "ROOMCAST_SERVER_PORT": "tcp://10.0.0.1:80"}) == {}


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ({"port": 1}, "port (file x.toml): unknown key; did you mean server.port?"),
        ({"server": 1}, "server (file x.toml): unknown key; write [server]"),
        ({"server": {"prot": 1}}, "server.prot (file x.toml): unknown key; did you mean server.port?"),
        ({"profiles": {"x": {}}}, "each profile is a file of its own"),
    ],
)
def test_a_mistake_in_the_file_is_named(file: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        gathered(file=file, path=Path("x.toml"))
    assert problem in caught.value.problems[0]


def test_a_secret_as_a_flag_is_refused_because_arguments_are_public() -> None:
    with pytest.raises(ConfigError, match="ROOMCAST_UPSTREAM__API_KEY_FILE") as caught:
        gathered(flags={"upstream.api_key": "sk-canary"})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("content", [b"a = ", b"a = 1\na = 2", b"a = '\xff'"])
def test_a_broken_file_says_what_is_wrong_with_it(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(Unfit, match=r"TOML|UTF-8"):
        read_table(tmp_path / "x.toml")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbfa = 1")
    assert read_table(tmp_path / "x.toml") == {"a": 1}


@pytest.mark.parametrize("path", [Path("/nowhere/x.toml"), Path("/"), Path("/dev/zero")])
def test_what_is_no_readable_file_of_sensible_size_is_refused(path: Path) -> None:
    with pytest.raises(Unfit, match="file"):
        read_table(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_secret_file_without_a_text_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(Unfit, match="a file"):
        read_secret("key", tmp_path)


@pytest.mark.parametrize("name", ["sk-canary", "canary\0", "", 5])
def test_a_key_where_the_name_of_its_file_belongs_is_not_repeated(name: object, tmp_path: Path) -> None:
    with pytest.raises(Unfit, match="file") as caught:
        read_secret(name, tmp_path)
    assert "canary" not in caught.value.expected + caught.value.shown


def test_only_one_newline_is_taken_from_a_secret(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("abc\n\n")
    assert read_secret("key", tmp_path) == "abc\n"
