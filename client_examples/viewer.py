"""Follow a room in the terminal: what people say, and the answers as they are written.

    python client_examples/viewer.py [ROOM] [URL]

Take the network away and give it back, or restart the server: it goes on where it stopped.
"""

import asyncio
import sys

from roomcast import connect
from roomcast.client import Message, Transcript


async def main(room: str = "lobby", url: str = "http://127.0.0.1:8080") -> None:
    async with connect(url, room=room, name="viewer", wait_s=30) as here:
        transcript = Transcript(here.snapshot)
        for entry in transcript.entries:
            print(f"{entry.name if isinstance(entry, Message) else 'answer'}: {entry.text}")
        print(f"-- {here.member_count} here, from number {here.cursor.seq} on", flush=True)

        async for event in here:  # each event once, in order, over every reconnection
            changed = transcript.apply(event)
            if event.is_reset:
                print(f"-- the room begins anew ({event.data['reason']})")
            elif isinstance(changed, Message):
                print(f"{changed.name}: {changed.text}")
            elif event.delta:
                print(event.delta, end="", flush=True)
            elif event.is_terminal and changed is not None:
                print(
                    f"\n-- {changed.status}, digest {'differs' if changed.verified is False else 'agrees'}", flush=True
                )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
