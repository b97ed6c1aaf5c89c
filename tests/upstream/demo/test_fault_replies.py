"""Tests of roomcast/upstream/demo/fault_replies.py, as the real client meets them."""

from __future__ import annotations

from typing import cast

import openai
import pytest

from roomcast.upstream.demo.fault_replies import reply
from roomcast.upstream.demo.faults import Fault, FaultKind
from tests.upstream.demo.clients import APIS, Demo

pytestmark = pytest.mark.anyio


async def refused(demo: Demo, api: str, prompt: str, *, stream: bool = True) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        await (demo.stream(api, prompt) if stream else demo.ask(api, prompt))
    return caught.value


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("status", "error_type"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
async def test_a_status_comes_with_the_envelope_of_openai(
    demo: Demo, api: str, stream: bool, status: int, error_type: type[openai.APIStatusError]
) -> None:
    error = await refused(demo, api, f"!fault {status} code=some_code", stream=stream)
    assert type(error) is error_type
    assert error.status_code == status
    assert error.code == "some_code"
    assert error.request_id


@pytest.mark.parametrize("retry_after", ["1", "3600", "tomorrow"])
async def test_rate_limiting_says_when_to_come_back(demo: Demo, retry_after: str) -> None:
    error = await refused(demo, "chat", f"!fault 429 retry_after={retry_after} retry_after_ms=1500")
    assert isinstance(error, openai.RateLimitError)
    assert error.code == "rate_limit_exceeded"
    assert error.response.headers["retry-after"] == retry_after
    assert error.response.headers["retry-after-ms"] == "1500"


async def test_rate_limiting_says_nothing_about_it_unless_told_to(demo: Demo) -> None:
    error = await refused(demo, "chat", "!fault rate_limited")
    assert not {"retry-after", "retry-after-ms"} & set(error.response.headers)


async def test_too_long_an_input_has_its_own_code(demo: Demo) -> None:
    error = await refused(demo, "responses", "!fault context_length_exceeded")
    assert (error.status_code, error.code, error.param) == (400, "context_length_exceeded", "input")


async def test_a_page_may_come_instead_of_an_error(demo: Demo) -> None:
    error = await refused(demo, "responses", "!fault html status=502")
    assert error.status_code == 502
    assert cast("str", error.body).startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("fault", ["html", "empty"])
@pytest.mark.parametrize("api", APIS)
async def test_a_page_or_nothing_with_status_200_is_no_event_for_the_client(demo: Demo, api: str, fault: str) -> None:
    """Finding 4: the client reports this as a normal end."""
    assert await demo.stream(api, f"!fault {fault}") == []


async def test_a_redirect_that_is_followed_would_be_seen(demo: Demo) -> None:
    error = await refused(demo, "responses", "!fault redirect")
    assert error.status_code == 307
    assert error.response.headers["location"] == "/v1/redirected"
    assert [request.path for request in demo.server.seen] == ["/v1/responses"]


async def test_after_a_refusal_the_same_connection_goes_on(demo: Demo) -> None:
    await refused(demo, "responses", "!fault 500")
    assert (await demo.ask("responses", "short"))["status"] == "completed"


def test_a_fault_of_the_stream_is_no_reply() -> None:
    assert reply(Fault(FaultKind.CUT)) is None
