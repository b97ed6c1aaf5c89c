"""Tests of roomcast/config/profiles.py."""

from pathlib import Path

import pytest

from roomcast.config.problems import ConfigError, Problems
from roomcast.config.profiles import FoundProfile, read_profiles
from roomcast.core.profile import Profile


def found(tmp_path: Path, **files: str) -> dict[str, FoundProfile]:
    packaged, beside = tmp_path / "packaged", tmp_path / "beside"
    for folder in (packaged, beside):
        folder.mkdir(exist_ok=True)
    (packaged / "default.toml").write_text('instructions = "packaged"')
    for name, content in files.items():
        (beside / f"{name}.toml").write_text(content)
    problems = Problems()
    profiles = read_profiles(packaged, beside, model="m1", problems=problems)
    problems.raise_if_any()
    return profiles


def test_the_packaged_default_is_there_without_any_file(tmp_path: Path) -> None:
    profiles = found(tmp_path)
    assert {name: profile.source for name, profile in profiles.items()} == {"default": "default"}
    assert profiles["default"].profile == Profile(name="default", model="m1", instructions="packaged")


def test_a_file_takes_the_place_of_the_packaged_one_and_others_stand_beside_it(tmp_path: Path) -> None:
    profiles = found(
        tmp_path, default='instructions = "mine"', tutor='model = "m2"\nmodels = ["m3"]\n[parameters]\na = 1'
    )
    assert profiles["default"].profile.instructions == "mine"
    assert profiles["default"].source == f"file {tmp_path / 'beside' / 'default.toml'}"
    assert profiles["tutor"].profile == Profile(name="tutor", model="m2", models=("m3",), parameters={"a": 1})


def test_a_folder_that_does_not_exist_holds_no_profiles(tmp_path: Path) -> None:
    assert read_profiles(tmp_path / "no", None, model="m1", problems=Problems()) == {}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('instrucions = "x"', "instrucions is unknown; did you mean instructions?"),
        ("model = 5", "`str`"),
        ('allow = ["temperature", "stream"]', "allow without stream; the server sets it"),
        ('allow = ["model"]', "models are named in `model` and `models`"),
        ("[parameters]\nstream = false", "parameters without stream"),
        ("[parameters]\nx = {a = [1, 2000-01-01]}", "parameters.x.a[1] is none"),
        ("[parameters]\nx = nan", "parameters.x is none"),
        (f"[parameters]\nx = {2**63}", "parameters.x is none"),
        ("[parameters", "TOML"),
    ],
)
def test_a_mistake_is_named_with_its_profile(content: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        found(tmp_path, tutor=content)
    assert caught.value.problems[0].startswith(f"profiles.tutor (file {tmp_path / 'beside' / 'tutor.toml'}): expected ")
    assert expected in caught.value.problems[0]


def test_a_profile_has_a_name_that_fits_a_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a file name of 1 to 64"):
        found(tmp_path, **{"a b": ""})
