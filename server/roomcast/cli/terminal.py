"""What may be shown in a terminal, and how a conversation is written into one line by line.

Text comes from a model and from strangers, and a terminal obeys what it is shown: no control
character of theirs reaches it. `clean` is the only way from a room to the screen.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

__all__ = ["Writer", "clean", "clean_line"]

_ERASE_LINE: Final = "\r\x1b[K"
_LINE_ENDS: Final = re.compile("\r\n?|[\u0085\u2028\u2029\v\f]")
_UNSAFE: Final = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]"  # colours and cursor movements, whole where they arrive whole
    "|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)"  # window titles, links, clipboard
    "|[\x00-\x08\x0e-\x1f\x7f-\x9f]"  # what is left of them, and every other control
    "|[\u202a-\u202e\u2066-\u2069]"  # reordering: shows another text than there is
)


def clean(text: str) -> str:
    """Make `text` safe to show: lines and tabs stay, everything that a terminal obeys goes."""
    return _UNSAFE.sub("", _LINE_ENDS.sub("\n", text))


def clean_line(text: str, *, most: int = 80) -> str:
    """Make `text` safe to show within a line, and cut it to `most` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


class Writer:
    """Writes a conversation as lines, a speaker at a time.

    Args:
        write: Gets text to show; it must appear at once.
        prompt: Shown below the last line while nobody speaks; empty for none.
    """

    def __init__(self, write: Callable[[str], None], *, prompt: str = "") -> None:
        self._write = write
        self._prompt = prompt
        self._speaker: str | None = None
        self._open_line = False
        self._prompting = False

    @property
    def speaking(self) -> bool:
        """Whether somebody's line is open."""
        return self._open_line

    def line(self, text: str) -> None:
        """Write a line of ours, below whatever stands there."""
        self.pause()
        self._show(f"{text}\n")
        self.rest()

    def message(self, name: str, text: str) -> None:
        """Write a whole message."""
        self.line(f"{clean_line(name)}: {clean(text)}")

    def piece(self, key: str, name: str, text: str) -> None:
        """Write on in the message `key`, and name its speaker when another has spoken between."""
        shown = clean(text)
        if not shown:
            return
        if self._speaker != key:
            self.pause()
            self._show(f"{clean_line(name)}: ")
            self._speaker = key
        self._show(shown)
        self._open_line = not shown.endswith("\n")

    def pause(self) -> None:
        """End the line that is open, so that somebody else may write."""
        if self._open_line:
            self._show("\n")
        self._speaker, self._open_line = None, False

    def rest(self) -> None:
        """Nobody speaks: show the prompt."""
        if self._prompt and not self._prompting and not self._open_line:
            self._write(self._prompt)
            self._prompting = True

    def entered(self) -> None:
        """A line was typed behind the prompt, so the prompt is history."""
        self._prompting = False

    def _show(self, text: str) -> None:
        if self._prompting:
            self._write(_ERASE_LINE)
            self._prompting = False
        self._write(text)
