"""Ask, leave in the middle of the answer, come back and miss nothing, then stop it.

    python client_examples/ask_cancel_resume.py [ROOM] [URL]

A lost connection never stops an answer; only `cancel` does, for everybody in the room.
"""

import asyncio
import sys

from roomcast import connect


async def main(room: str = "lobby", url: str = "http://127.0.0.1:8080") -> None:
    before, after = "", ""

    async with connect(url, room=room, name="Ada") as here:
        asked = await here.ask("Tell me a long story, please.")
        async for event in here:
            before += event.delta
            if len(before) > 80:
                break
        cursor = here.cursor
    print(f"left after {len(before)} characters, at number {cursor.seq}")

    await asyncio.sleep(0.5)  # meanwhile the answer goes on without us

    async with connect(url, room=room, name="Ada", after=cursor) as here:
        async for event in here:
            assert not event.is_reset, "the server still had what we missed"
            after += event.delta
            if after and not here.behind:
                break  # we have caught up
        print(f"came back, and got the {len(after)} characters that we missed")

        stopped = await here.cancel(asked.response_id, reason="enough")
        answer = await here.answer(asked)
    # This visit saw the answer from the middle on, so its text begins where the first visit ended.
    print(f"{stopped.status}, then {answer.status}: {answer.reason}")
    print((before + answer.text)[:240].replace("\n", " "), "…")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
