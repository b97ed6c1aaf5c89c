"""Tests of roomcast/cli/ending.py: each way to end has one line and one exit status."""

from __future__ import annotations

import pytest
import typer

from roomcast.cli.ending import complain, run_client
from roomcast.client import NotAllowed, Refused, Unreachable


def ended(raises: BaseException | None = None, *, status: int = 0) -> int:
    async def verb() -> int:
        if raises is not None:
            raise raises
        return status

    with pytest.raises(typer.Exit) as caught:
        run_client(verb)
    return caught.value.exit_code


@pytest.mark.parametrize("status", [0, 1])
def test_a_verb_decides_its_status(status: int) -> None:
    assert ended(status=status) == status


def test_a_server_that_cannot_be_reached_is_one_line_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(Unreachable("cannot reach http://127.0.0.1:1: connection refused")) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "roomcast: cannot reach http://127.0.0.1:1: connection refused"
    assert "roomcast serve" in second


@pytest.mark.parametrize("error", [Refused("forbidden", "you may not"), NotAllowed("you may not (forbidden)")])
def test_a_refusal_is_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(error) == 1
    assert capsys.readouterr().err == "roomcast: you may not (forbidden)\n"


def test_an_interrupt_from_the_keyboard_is_130() -> None:
    assert ended(KeyboardInterrupt()) == 130


def test_x6_a_complaint_repeats_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    complain("no \x1b[2J\x07way")
    assert capsys.readouterr().err == "roomcast: no way\n"


def test_a_fault_of_our_own_is_not_hidden() -> None:
    async def verb() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_client(verb)
