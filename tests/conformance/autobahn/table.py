"""What each case of the suite did, and how that differs from what is expected.

A result is three words: behaviour, behaviour in closing, close code that we sent (`-` for none):
`OK OK 1000`. The table holds one for every case, and for all that are not simply OK a reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["TABLE", "Table", "differences", "results", "unexplained"]

TABLE = Path(__file__).with_name("table.json")


@dataclass(frozen=True, slots=True)
class Table:
    """The expectation.

    Attributes:
        cases: Case → result.
        reasons: Why cases are not simply OK → those cases.
    """

    cases: Mapping[str, str]
    reasons: Mapping[str, list[str]]

    @classmethod
    def read(cls) -> Table:
        """Read the stored one."""
        stored = json.loads(TABLE.read_text("utf-8"))
        return cls(stored["cases"], stored["reasons"])

    def write(self) -> None:
        """Store it."""
        stored = {"reasons": self.reasons, "cases": self.cases}
        TABLE.write_text(json.dumps(stored, indent=2, ensure_ascii=False) + "\n", "utf-8")


def results(index: Mapping[str, Any]) -> dict[str, str]:
    """Put the suite's index into words, in the order of the cases."""
    by_number = sorted(index.items(), key=lambda item: [int(part) for part in item[0].split(".")])
    return {
        case: f"{found['behavior']} {found['behaviorClose']} {found['remoteCloseCode'] or '-'}"
        for case, found in by_number
    }


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Cases that did something else, are missing or are new: `(case, expected, found)`."""
    return [
        (case, expected.get(case, "absent"), found.get(case, "absent"))
        for case in {**expected, **found}
        if expected.get(case) != found.get(case)
    ]


def unexplained(table: Table) -> list[str]:
    """Cases that are not simply OK and have no reason, or have one and need none, or have two."""
    explained = [case for cases in table.reasons.values() for case in cases]
    odd = {case for case, result in table.cases.items() if not result.startswith("OK OK ")}
    return sorted(odd.symmetric_difference(explained) | {case for case in explained if explained.count(case) > 1})
