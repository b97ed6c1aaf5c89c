"""A fault of ours in a generation costs that generation, and nothing else."""

from __future__ import annotations

from roomcast.core.profile import Profile
from roomcast.core.rules import Rulebook
from tests.support import virtual_time
from tests.support.rig import a_rig, said


class BreaksTheSecondTime(dict[str, Profile]):
    """Profiles of which the rules can ask once what the scheduler then cannot."""

    asked = 0

    def get(self, name: str, default: Profile | None = None) -> Profile | None:  # type: ignore[override]
        self.asked += name == "broken"
        if self.asked > 1:
            self.asked = 0
            raise RuntimeError("a fault of ours")
        return super().get(name, default)


def test_a_fault_of_ours_in_what_the_model_is_to_be_asked_ends_that_response_alone() -> None:
    async def scenario() -> None:
        profiles = BreaksTheSecondTime(default=Profile(name="default"), broken=Profile(name="broken"))
        async with a_rig(said("fine"), rulebook=Rulebook(profiles=profiles, model="m")) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            broken = await ann.ask("lobby", "x", profile="broken")
            second = await ann.ask("lobby", "again")
            ended = await ann.until_type("response.failed", broken["response_id"])
            assert ended["response"]["error"]["code"] == "internal"
            await ann.until_type("response.completed", second["response_id"])

    virtual_time.run(scenario())


def test_a_fault_of_ours_ends_the_generation_and_not_the_server() -> None:
    async def scenario() -> None:
        async with a_rig(["a", ValueError("a bug")], said("fine")) as rig:
            ann = rig.viewer("ann")
            await ann.join("lobby")
            first = await ann.ask("lobby", "x")
            ended = await ann.until_type("response.failed", first["response_id"])
            assert ended["response"]["error"]["code"] == "internal"
            second = await ann.ask("lobby", "again")
            await ann.until_type("response.completed", second["response_id"])

    virtual_time.run(scenario())
