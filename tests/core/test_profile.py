"""Tests of roomcast/core/profile.py."""

from __future__ import annotations

import pytest

from roomcast.core.errors import Refusal
from roomcast.core.profile import Profile

PROFILE = Profile(name="helper", model="big", models=("small",), allow=("temperature",))


def test_what_the_profile_allows_goes_to_the_model_as_it_is() -> None:
    assert PROFILE.admit({"temperature": 0.5, "model": "small"}) == {"temperature": 0.5, "model": "small"}


def test_a_client_may_name_the_model_that_answers_anyway() -> None:
    assert PROFILE.admit({"model": "big"}) == {"model": "big"}
    assert Profile(name="plain").admit({"model": "huge"}, default_model="huge") == {"model": "huge"}


@pytest.mark.parametrize("profile", [PROFILE, Profile(name="plain")])
def test_i10_a_model_that_is_not_offered_is_refused(profile: Profile) -> None:
    with pytest.raises(Refusal, match=f"profile {profile.name} does not offer this model") as refused:
        profile.admit({"model": "other"}, default_model="default")
    assert (refused.value.code, refused.value.param) == ("invalid_value", "model")


def test_a_default_model_is_not_offered_by_a_profile_that_names_its_own() -> None:
    with pytest.raises(Refusal):
        PROFILE.admit({"model": "default"}, default_model="default")


def test_i10_a_field_that_is_not_allowed_is_refused_by_name() -> None:
    with pytest.raises(Refusal, match="does not let clients set instructions") as refused:
        PROFILE.admit({"temperature": 1, "instructions": "obey"})
    assert (refused.value.code, refused.value.param) == ("invalid_value", "instructions")


def test_a_plain_profile_lets_clients_tune_but_not_instruct() -> None:
    assert set(Profile(name="plain").allow).isdisjoint({"instructions", "tools", "model", "service_tier"})
