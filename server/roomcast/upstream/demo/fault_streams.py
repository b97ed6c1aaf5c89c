"""Faults that change how an answer is played.

Each is a small generator over the parts of a scene: some of them, and something else in between. Those that need the
words of one API are in fault_words.py.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count, cycle, islice
from typing import Final

from roomcast.upstream.demo.fault_words import WORDS, after, before
from roomcast.upstream.demo.faults import Fault, FaultKind
from roomcast.upstream.demo.scene import Scene, sends
from roomcast.upstream.demo.steps import HOLD, Cut, Pause, Send, Step
from roomcast.upstream.demo.wire import DONE, Finish

__all__ = ["disturbed"]

_EMOJI_HALVES = ("\ud83c", "\udf89")
_CUTTABLE = re.compile(rb"[\x80-\xff\n]|[^\x80-\xff\n]+")
_LINE_CHUNK = b"x" * 65_536


def disturbed(fault: Fault, scene: Scene) -> Iterator[Step]:
    """Play `scene` with `fault` in it."""
    return _PLAYS[fault.kind](fault, scene)


# --- the connection ---------------------------------------------------------------------------------------------------


def _mute(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield HOLD


def _cut(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    yield Cut(reset=True)


def _truncate(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    payload = b"".join(scene.answer.text("truncated"))
    yield Send(payload[: len(payload) // 2])
    yield Cut(reset=False)


def _silence(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    yield HOLD


def _heartbeat(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    for _ in _rounds(fault):
        yield Send(b": keep-alive\n\n")
        yield Pause(fault.every_ms / 1000)


def _stall(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    yield Pause(fault.for_ms / 1000)
    yield from after(fault, scene)


def _drip(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from sends(scene.answer.opening())
    for piece in islice(cycle(scene.pieces), fault.count):
        yield from sends(scene.answer.text(piece))
        yield Pause(fault.every_ms / 1000)
    yield from scene.closing()


def _rounds(fault: Fault) -> Iterable[int]:
    return count() if fault.count is None else range(fault.count)


def _bytewise(fault: Fault, scene: Scene) -> Iterator[Step]:
    """Cut inside of each character that can be cut, and around each line end; whole lines of single bytes cost much."""
    for step in scene.play():
        if isinstance(step, Send):
            yield from (Send(part) for part in _CUTTABLE.findall(step.payload))
        else:
            yield step


# --- the events -------------------------------------------------------------------------------------------------------


def _malformed(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    yield Send(b'data: {"type":"response.output_text.delta","delta":"half an\n\n')
    yield from after(fault, scene)


def _odd_sse(fault: Fault, scene: Scene) -> Iterator[Step]:
    """Use everything that the format of server-sent events allows and OpenAI does not do."""
    yield Send(b"\xef\xbb\xbf: a byte order mark, and a comment\n\n")
    line_ends = cycle((b"\n", b"\r\n", b"\r"))
    for step in scene.play():
        if isinstance(step, Send):
            # JSON may be broken between any two of its tokens, and the parts of the data are joined by a line end.
            parted = step.payload.replace(b"data: {", b"id: 1\nretry: 10\nnobody: knows\ndata:{\ndata: ")
            yield Send((b":\n" + parted).replace(b"\n", next(line_ends)))
        else:
            yield step


def _split_emoji(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    for half in _EMOJI_HALVES:
        yield from scene.token(half)
    yield from after(fault, scene)


def _lone_surrogate(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    yield from scene.token(_EMOJI_HALVES[0])
    yield from after(fault, scene)


def _duplicate(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    *opened, delta = scene.answer.text("again ")
    yield from sends([*opened, delta, delta])
    yield from after(fault, scene)


def _huge_delta(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    yield from scene.token("x" * fault.size_bytes)
    yield from after(fault, scene)


def _endless_line(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    yield Send(b"data: ")
    for at in range(0, fault.size_bytes, len(_LINE_CHUNK)):
        yield Send(_LINE_CHUNK[: fault.size_bytes - at])


def _gzip_bomb(fault: Fault, scene: Scene) -> Iterator[Step]:
    packer = zlib.compressobj(9, wbits=31)
    packed = packer.compress(b"data: ")
    for at in range(0, fault.size_bytes, len(_LINE_CHUNK)):
        packed += packer.compress(_LINE_CHUNK[: fault.size_bytes - at])
    yield Send(packed + packer.flush())


def _done_only(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    yield Send(DONE)


def _content_filter(fault: Fault, scene: Scene) -> Iterator[Step]:
    yield from before(fault, scene)
    yield from scene.closing(Finish.CONTENT_FILTER)


def _plainly(fault: Fault, scene: Scene) -> Iterator[Step]:
    """Play it undisturbed: for faults that lie in the form of the whole."""
    return scene.play()


def _eof(fault: Fault, scene: Scene) -> Iterator[Step]:
    return before(fault, scene)


_PLAYS: Final[Mapping[FaultKind, Callable[[Fault, Scene], Iterator[Step]]]] = {
    FaultKind.MUTE: _mute,
    FaultKind.CUT: _cut,
    FaultKind.TRUNCATE: _truncate,
    FaultKind.EOF: _eof,
    FaultKind.SILENCE: _silence,
    FaultKind.HEARTBEAT: _heartbeat,
    FaultKind.STALL: _stall,
    FaultKind.DRIP: _drip,
    FaultKind.BYTEWISE: _bytewise,
    FaultKind.MALFORMED: _malformed,
    FaultKind.ODD_SSE: _odd_sse,
    FaultKind.SPLIT_EMOJI: _split_emoji,
    FaultKind.LONE_SURROGATE: _lone_surrogate,
    FaultKind.DUPLICATE: _duplicate,
    FaultKind.HUGE_DELTA: _huge_delta,
    FaultKind.ENDLESS_LINE: _endless_line,
    FaultKind.GZIP_BOMB: _gzip_bomb,
    FaultKind.JSON: _plainly,
    FaultKind.DONE_ONLY: _done_only,
    FaultKind.CONTENT_FILTER: _content_filter,
    **WORDS,
}
