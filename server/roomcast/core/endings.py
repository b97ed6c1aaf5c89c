"""Terminals: the one event that ends a response, with everything it must carry.

`completed` only if the upstream said so itself. A cancel that was accepted ends `cancelled`,
whatever the upstream does meanwhile.
"""

from __future__ import annotations

from typing import Final

from roomcast.core.errors import UpstreamError
from roomcast.core.events import JsonObject, encode
from roomcast.core.intents import CutShort, Ended, Ending, HungUp
from roomcast.core.output import content_digest
from roomcast.core.ports import Finish
from roomcast.core.response_state import Input, Status, step
from roomcast.core.room_state import Response
from roomcast.core.session import SYSTEM, Member
from roomcast.core.usage import unused

__all__ = ["abandoned", "absorbed", "cut_short", "orphaned", "terminal", "withdrawn"]

THEIRS_BYTES: Final = 64 * 1024
"""Most bytes that an upstream's own response object may add: a terminal with the whole output still fits a frame."""


def terminal(response: Response, ended: Ended, now_ms: int) -> JsonObject | None:
    """The terminal that follows from how the stream ended; None where it cannot end so (any more)."""
    following = step(response.status, _input(ended.ending))
    if following is None:
        return None
    event = _event(response, following, now_ms, ended.usage, ended)
    if following is Status.CANCELLED:
        return event | _cancelled(response, now_ms, ended.usage, ended.ending)
    event["response"] |= _explained(event["response"], following, ended.ending)
    return event


def cut_short(response: Response, reason: str, usage: JsonObject, now_ms: int) -> JsonObject:
    """The terminal of a running response that the rules themselves end: `incomplete` with this reason."""
    event = _event(response, Status.INCOMPLETE, now_ms, usage)
    event["response"]["incomplete_details"] = {"reason": reason}
    return event


def withdrawn(response: Response, member: Member, reason: str | None, now_ms: int) -> JsonObject:
    """The terminal of a response that leaves the queue before its turn."""
    return _left_the_queue(response, member, "withdrawn", reason, now_ms)


def absorbed(response: Response, into: str, reason: str, member: Member, now_ms: int) -> JsonObject:
    """The terminal of a response that leaves the queue for a newer one: `merged` or `superseded`."""
    return _left_the_queue(response, member, reason, reason, now_ms) | {"into": into}


def orphaned(response: Response, reason: str, now_ms: int) -> JsonObject:
    """The terminal of a response that leaves the queue because nobody is left to watch it."""
    return _left_the_queue(response, SYSTEM, reason, reason, now_ms)


def _left_the_queue(response: Response, member: Member, how: str, reason: str | None, now_ms: int) -> JsonObject:
    event = _event(response, Status.CANCELLED, now_ms, unused())
    receipt = {"by": member.by(), "reason": reason or how, "output_tokens": 0, "upstream_closed_ms": 0}
    return {**event, "by": member.by(), "reason": how, "receipt": receipt}


def abandoned(response: Response, cause: str, usage: JsonObject, now_ms: int) -> JsonObject:
    """The terminal of a response whose runner is gone: cancelled if that was promised, else interrupted."""
    following = step(response.status, Input.ABANDON)
    assert following is not None, f"{response.id} is {response.status} and runs nowhere"
    event = _event(response, following, now_ms, usage)
    if following is Status.CANCELLED:
        return event | _cancelled(response, now_ms, usage)
    event["response"]["incomplete_details"] = {"reason": "interrupted"}
    return {**event, "by": SYSTEM.by(), "cause": cause, "retryable": True}


def _input(ending: Ending) -> Input:
    match ending:
        case Finish(status="completed"):
            return Input.COMPLETE
        case Finish(status="incomplete") | CutShort():
            return Input.CUT_SHORT
        case HungUp():
            return Input.HUNG_UP
        case _:
            return Input.FAIL


def _explained(shown: JsonObject, following: Status, ending: Ending) -> JsonObject:
    """What the response object says of an ending that nobody asked for."""
    if isinstance(ending, UpstreamError):
        return {"error": {"code": ending.code, "message": ending.message}}
    if isinstance(ending, CutShort):
        return {"incomplete_details": {"reason": ending.reason}}
    assert isinstance(ending, Finish), "only what was cancelled is hung up on"
    theirs = {name: value for name, value in ending.response.items() if name not in shown or name == "model"}
    if len(encode(theirs)) > THEIRS_BYTES:
        theirs = {}
    if following is Status.INCOMPLETE:
        theirs["incomplete_details"] = {"reason": ending.reason or "max_output_tokens"}
    elif following is Status.FAILED:
        message = ending.error_message or "the model service reported a failure"
        theirs["error"] = {"code": ending.error_code or "upstream_unavailable", "message": message}
    return theirs


def _event(
    response: Response, following: Status, now_ms: int, usage: JsonObject, ended: Ended | None = None
) -> JsonObject:
    status = "incomplete" if following is Status.INTERRUPTED else following.value
    output = response.output.render("completed" if following is Status.COMPLETED else "incomplete")
    shown: JsonObject = {
        **response.base,
        "status": status,
        "output": output,
        "usage": usage or None,
        "error": None,
        "incomplete_details": None,
    }
    if following is Status.COMPLETED:
        shown["completed_at"] = now_ms // 1000
    started_at = now_ms if response.started_at is None else response.started_at
    first_at = response.first_output_at
    return {
        "type": f"response.{following.value}",
        "response_id": response.id,
        "response": shown,
        "digest": content_digest(output),
        "timings": {
            "queued_ms": max(0, started_at - response.created_at),
            "first_output_ms": None if first_at is None else max(0, first_at - started_at),
            "total_ms": max(0, now_ms - started_at),
        }
        | ({} if ended is None else {"first_output_ms": ended.first_output_ms, "total_ms": ended.total_ms}),
    }


def _cancelled(response: Response, now_ms: int, usage: JsonObject, ending: Ending | None = None) -> JsonObject:
    assert response.cancel is not None, f"{response.id} ends cancelled, but nobody asked"
    by, reason, cancelled_at = response.cancel["by"], response.cancel["reason"], response.cancel["at"]
    # What was not hung up on ended by itself meanwhile, or its runner is gone: closed by now at the latest.
    closed_ms = ending.after_ms if isinstance(ending, HungUp) else max(0, now_ms - cancelled_at)
    tokens = usage.get("output_tokens")
    receipt = {"by": by, "reason": reason, "output_tokens": tokens, "upstream_closed_ms": closed_ms}
    return {"by": by, "reason": reason, "receipt": receipt}
