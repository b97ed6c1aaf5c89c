"""The viewers check what they get. Before anything is measured, this checks that they do.

Two small servers do it wrong: one loses a token now and then, one sends some twice. `crowd` must notice both.
"""

from __future__ import annotations

from tests.benchmarks.contenders import contender
from tests.benchmarks.machine import Unfit
from tests.benchmarks.plan import Plan

__all__ = ["check"]

LOAD = ("-r", "500", "-w", "0.1", "-d", "0.3", "-x", "0.1", "-f", "2")


def check(plan: Plan) -> None:
    """Raise `Unfit` if the viewers do not see what is wrong, or see something wrong where nothing is."""
    plan.report.step("checking that losses are noticed")
    for name, lossless in (("losing", False), ("repeating", False), ("raw", True)):
        with contender(name, plan.tools, plan.core) as server:
            run = server.run(*LOAD, viewers=3)
        if run.lossless is not lossless:
            raise Unfit(
                f"a server that is {name} looks {'complete' if run.lossless else 'wrong'} to the viewers: {run}"
            )
