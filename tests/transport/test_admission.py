"""Tests of roomcast/transport/admission.py. The letters are those of the fault catalogue."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from starlette.datastructures import Headers

from roomcast.core.errors import Refusal
from roomcast.core.limits import Limits
from roomcast.core.session import Role
from roomcast.core.settings import AuthSettings, Secret, ServerSettings, Settings, StaticToken
from roomcast.observe import NullObserver
from roomcast.subscriber.pump import Pump
from roomcast.transport.admission import Admission, Rejected, display_name
from tests.support.rig import PLAIN, Socket
from tests.transport.test_crowd import HandClock

LOCAL = {"host": "127.0.0.1:8080"}
ANN, BOB = "ann-token-0123456789", "bob-token-0123456789"
TOKENS = AuthSettings(
    mode="token",
    tokens=(
        StaticToken(token=Secret(ANN), member="ann", name="Ann", role=Role.SPEAKER),
        StaticToken(token=Secret(BOB), member="bob", name="Bob", role=Role.OWNER),
    ),
)


def an_admission(auth: AuthSettings | None = None, **server: Any) -> Admission:
    ids = itertools.count(1)
    settings = Settings(server=ServerSettings(**server), auth=auth or AuthSettings(), limits=Limits(name_characters=8))
    return Admission(
        settings, clock=HandClock(), new_id=lambda prefix: f"{prefix}_{next(ids):04}", observer=NullObserver()
    )


def rejected(status: int, code: str) -> pytest.RaisesExc[Rejected]:
    return pytest.RaisesExc(Rejected, check=lambda caught: (caught.status, caught.code) == (status, code))


# ---- Host and Origin -------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"host": "evil.example:8080"}, {}])
def test_an_open_server_answers_under_loopback_names_only(headers: dict[str, str]) -> None:
    """A page can make its own name point to 127.0.0.1."""
    with rejected(403, "forbidden"):
        an_admission().identify(headers, "", "127.0.0.1")


def test_a_server_with_tokens_answers_under_any_name() -> None:
    an_admission(TOKENS).check_host({"host": "chat.example"})


@pytest.mark.parametrize(
    "origin", ["https://good.example.evil", "null", "http://127.0.0.1", "https://127.0.0.1:8081", "HTTP://x"]
)
def test_a1_a_foreign_origin_is_refused(origin: str) -> None:
    with rejected(403, "forbidden"):
        an_admission().check_origin({**LOCAL, "origin": origin})


def test_a1_our_own_page_and_listed_pages_and_programs_may_speak() -> None:
    admission = an_admission(allowed_origins=["https://good.example"])
    admission.check_origin({**LOCAL, "origin": "http://127.0.0.1:8080"})
    admission.check_origin({**LOCAL, "origin": "https://good.example"})
    admission.check_origin(LOCAL)


@pytest.mark.parametrize("origin", ["https://good.example:8443", "http://good.example", "https://good.example.evil"])
def test_a1_a_listed_origin_lets_in_exactly_itself(origin: str) -> None:
    with rejected(403, "forbidden"):
        an_admission(allowed_origins=["https://good.example"]).check_origin({**LOCAL, "origin": origin})


def test_what_a_foreign_page_embeds_is_refused_though_it_has_no_origin() -> None:
    with rejected(403, "forbidden"):
        an_admission().check_origin({**LOCAL, "sec-fetch-site": "cross-site"})
    an_admission().check_origin({**LOCAL, "sec-fetch-site": "same-origin"})
    an_admission().check_origin({**LOCAL, "sec-fetch-site": "none"})


def test_two_origins_are_none() -> None:
    headers = Headers(
        raw=[(b"host", b"127.0.0.1:8080"), (b"origin", b"http://127.0.0.1:8080"), (b"origin", b"http://e")]
    )
    with rejected(400, "invalid_value"):
        an_admission().check_origin(headers)


# ---- members without authentication ----------------------------------------------------------


def test_a_member_and_a_name_may_be_chosen() -> None:
    caller = an_admission().identify(LOCAL, "member=ann&name=Ann%20B", "127.0.0.1")
    assert (caller.member.id, caller.member.name, caller.member.role, caller.authenticated) == (
        "ann",
        "Ann B",
        Role.OWNER,
        True,
    )


def test_a_member_without_a_name_is_shown_by_its_id() -> None:
    assert an_admission().identify(LOCAL, "member=ann&name=%00", "127.0.0.1").member.name == "ann"


@pytest.mark.parametrize("member", ["", "system", "a b", "-a", "a" * 65, "%E2%80%AE", "a%0Ab", "a%00"])
def test_a_member_that_cannot_be_one_is_refused(member: str) -> None:
    with rejected(400, "invalid_value"):
        an_admission().identify(LOCAL, f"member={member}", "127.0.0.1")


def test_each_connection_that_does_not_say_who_it_is_is_a_guest_of_its_own() -> None:
    admission = an_admission()
    first, second = (admission.identify(LOCAL, "name=Ann", "127.0.0.1").member for _ in range(2))
    assert (first.id != second.id, first.name) == (True, "Ann")


def test_requests_of_one_connection_are_of_one_guest() -> None:
    """So a command that is sent again on it is the same command."""
    admission = an_admission()
    first, again, other = (
        admission.identify(LOCAL, "", "127.0.0.1", connection=connection).member for connection in ("a 1", "a 1", "a 2")
    )
    assert (first == again, first.id == other.id) == (True, False)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("  Ann \t B ", "Ann B"),
        ("A\u202enn\u2066", "Ann"),
        ("A\x00\x1b[1m\nn", "A[1mn"),
        ("Anne-Marie-Louise", "Anne-Mar"),
        ("\u200b\u2060 ", ""),
        ("👩\u200d💻", "👩\u200d💻"),
        ("Ådå", "Ådå"),
    ],
)
def test_a_name_is_shown_without_what_could_mislead(given: str, shown: str) -> None:
    assert display_name(given, 8) == shown


# ---- tokens ----------------------------------------------------------------------------------


def test_a2_a_token_says_who_speaks() -> None:
    caller = an_admission(TOKENS).identify({"authorization": f"bearer {BOB}"}, "member=ann", "1.1.1.1")
    assert (caller.member.id, caller.member.role, caller.authenticated) == ("bob", Role.OWNER, True)


@pytest.mark.parametrize(
    "shown", [f"Bearer {ANN}x", "Bearer", "Bearer ", f"Basic {ANN}", ANN, f"Bearer {ANN[:-1]}", "Bearer é"]
)
def test_a2_a_wrong_token_is_refused_and_not_repeated(shown: str) -> None:
    with rejected(401, "unauthenticated") as caught:
        an_admission(TOKENS).identify({"authorization": shown}, "", "1.1.1.1")
    assert ANN[:-1] not in str(caught.value) + caught.value.body.decode()


def test_without_a_token_a_caller_is_nobody_and_a_request_is_refused() -> None:
    admission = an_admission(TOKENS)
    caller = admission.identify({}, "member=ann", "1.1.1.1")
    assert (caller.authenticated, caller.member.role) == (False, Role.VIEWER)
    with rejected(401, "unauthenticated"):
        admission.require(caller)


@pytest.mark.parametrize("auth", [AuthSettings(), TOKENS])
def test_tickets_are_refused_and_not_taken_for_nothing(auth: AuthSettings) -> None:
    with rejected(401, "unauthenticated"):
        an_admission(auth).identify(LOCAL, "ticket=t", "1.1.1.1")


def test_a_connection_authenticates_later_and_its_pump_with_it() -> None:
    admission = an_admission(TOKENS)
    caller = admission.identify({}, "", "1.1.1.1")
    socket = Socket()
    caller.pump = socket.pump = Pump(socket, PLAIN, caller.member, Limits(), lambda pump: None)
    assert admission.authenticate(caller, ANN) == {
        "member": {"id": "ann", "name": "Ann", "role": "speaker"},
        "expires_at": None,
    }
    assert (caller.authenticated, caller.member.id, caller.pump.member.id) == (True, "ann", "ann")


@pytest.mark.parametrize(("token", "code"), [("x", "unauthenticated"), (BOB, "forbidden")])
def test_an_open_connection_keeps_its_member(token: str, code: str) -> None:
    admission = an_admission(TOKENS)
    caller = admission.identify({"authorization": f"Bearer {ANN}"}, "", "1.1.1.1")
    with pytest.raises(Refusal) as caught:
        admission.authenticate(caller, token)
    assert (caught.value.code, caller.member.id, caller.authenticated) == (code, "ann", True)
    admission.authenticate(caller, ANN)


def test_without_authentication_a_token_changes_nothing() -> None:
    admission = an_admission()
    caller = admission.identify(LOCAL, "member=ann", "127.0.0.1")
    assert admission.authenticate(caller, "whatever")["member"]["id"] == "ann"


# ---- addresses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("9.9.9.9", ["1.1.1.1"], "9.9.9.9"),  # nobody's proxy: what it says counts for nothing
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6, 1.1.1.1"], "1.1.1.1"),  # the first is what the client made up
        ("10.0.0.1", ["6.6.6.6", "1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["1.1.1.1, 10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", ["1.1.1.1, junk"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
    ],
)
def test_only_trusted_proxies_say_who_is_behind_them(peer: str, forwarded: list[str], address: str) -> None:
    admission = an_admission(TOKENS, trusted_proxies=["10.0.0.0/8"])
    headers = Headers(raw=[(b"x-forwarded-for", line.encode()) for line in forwarded])
    assert admission.client_address(headers, peer) == address
