"""What the demo model can say: texts in Markdown, each with the words that call for it.

For most visitors this is the first thing they read about roomcast, so it tells them something true and useful, and
between them the texts show everything a renderer must cope with.

Not here: how one is chosen (script.py). A paragraph is one line, because some renderers keep line ends.
"""

# ruff: noqa: E501, RUF001 - a paragraph is one line, and some are in Arabic, Hebrew or emoji

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["ANSWERS", "GENERAL", "Answer"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One text, and what calls for it: words, or phrases, which count for more."""

    name: str
    calls: frozenset[str]
    text: str


def _answer(name: str, calls: str, text: str) -> Answer:
    return Answer(name, frozenset(call.strip() for call in calls.split(",")), text.strip())


_HELLO = _answer(
    "hello",
    "hello, hi, hey, hallo, hola, moin, good morning, good evening, who are you",
    """
Hello, and welcome to the room. Everybody who has it open reads these words at the same moment as you do, from one single stream.

Three things to try, in this order:

1. Open this address in a **second window**, and ask something there.
2. Press **Stop** in one window while text arrives in the other.
3. **Reload** in the middle of an answer: nothing is missing, and nothing comes twice.

For more, ask me for a *list*, a *table*, some *Python* or *JavaScript*, *emoji*, a text from *right to left*, or *tell me a long story*.
""",
)

_LIST = _answer(
    "list",
    "list, bullets, help, features, what can you do, what can i do, things to try, ideas, examples",
    """
What you can do in a room:

- **Watch together.** One answer is generated once, and everybody in the room sees it as it is written.
- **Ask while it is busy.** Your prompt waits in a queue that everybody can see.
- **Stop it.** Anybody who may speak can, and all see who did.
- **Leave and come back.**
  - A reload goes on from the last event you have.
  - A new viewer gets the room as it stands, then every event that follows.
- **Be slow.** If your line is bad, pieces are merged for you, and for you alone.

And what I can answer, so that you can look at each kind of text:

1. a *table*
2. code in *Python* or *JavaScript*
3. *emoji*, and text from *right to left*
4. *tell me a long story*, or a *short* answer
5. *count to 200*, which makes a missing piece easy to spot
""",
)

_WHAT = _answer(
    "what",
    "roomcast, what is roomcast, what is this, explain, about, how does this work, architecture, event log",
    """
**roomcast** takes one stream from a language model and shows it to a whole room.

The idea fits into a sentence: *a room is a log, and everything else is a cursor.* A running answer appends its events to the log of its room. Each event gets the next number and is stored before anybody sees it. A viewer is nothing but a position in that log. Somebody who follows live, somebody who joins late and somebody whose train just left a tunnel all do the same thing: they read on from where they stand.

Because of that, neither side has to know the other. The model does not wait for the slowest reader, and a reader who loses the connection does not end the answer. There is no special path for catching up, and so no gap between catching up and being live.

The events have the names that OpenAI uses in its Responses API, such as `response.output_text.delta`. Whoever can show one of those streams can show a room.
""",
)

_RESUME = _answer(
    "resume",
    "resume, reload, refresh, reconnect, reconnects, disconnect, connection, offline, missing, duplicate, how does resume work, cursor, join, late",
    """
Every event of a room has a number, its `seq`, and the numbers have no holes. Your browser remembers the newest one that it has shown.

When the connection comes back, it says "I have everything up to 41", and the server answers in one of two ways:

- **It can go on.** Then event 42 is the next thing you get, and after it each one in order. Some may arrive merged, but nothing is left out and nothing comes twice.
- **It cannot**, because what you missed is too old to be kept event by event. Then it says so, and sends the room as it stands now, followed by all that comes later.

There is no third way in which a part is silently lost. A person who joins for the first time takes the second road: one snapshot, then the tail. It costs as much as the room is large, not as much as its history is long.

Try it: ask me to *tell me a long story*, and reload while it runs.
""",
)

_STOP = _answer(
    "stop",
    "stop, cancel, abort, interrupt, halt",
    """
Press **Stop** while I am writing, in any window of this room.

The request is written to the log first. From then on no further text of this answer follows, for anybody. Then the server closes its connection to the model, which ends the work there too, and with it the cost. A last event says who stopped it and why, and all viewers keep the same text up to the same letter.

Closing your window is something else. That is only a viewer who leaves; the answer goes on, and it will be there when you come back.
""",
)

_SLOW = _answer(
    "slow",
    "slow, slowest, lag, lagging, backpressure, buffer, stalled, phone, performance, fast, scale, viewers",
    """
A slow viewer costs only itself.

An event is turned into bytes once, and the same bytes go to everybody who is up to date. When somebody's socket is full, they leave that group and keep nothing but their position. Nobody waits for them, and no queue grows on their behalf. Once their line drains they read on from the log, with neighbouring pieces merged into larger ones, until they are live again.

If they fall too far behind for that, they get the room as it stands instead. And somebody who takes nothing at all for ten seconds is let go, and may come back and resume.
""",
)

_CRASH = _answer(
    "crash",
    "crash, kill, restart, restarts, durable, durability, storage, sqlite, database, lost, history, disk, power",
    """
An event is stored before anybody sees it. So whatever you have seen, the history has too, even when the server is killed in the middle of a sentence.

After a restart the rooms are there with the same numbers. An answer that was running is closed as *interrupted*, with its text kept; prompts that were waiting in the queue are started. Your browser resumes from the event it has, as after any other break.

Nothing needs to be installed for that: the log is one SQLite file in the data folder.
""",
)

_KEY = _answer(
    "key",
    "key, api key, openai, gpt, real, real model, model, simulated, demo, are you real, fake, llm, ai, provider, ollama",
    """
I am a script with a stopwatch. No language model runs here, nothing leaves this machine, and nothing is charged.

To talk to a real one, stop the server and start it with a key:

```sh
OPENAI_API_KEY=sk-... make run
```

Any other server that speaks OpenAI's protocol works as well, on your own machine or elsewhere:

```sh
OPENAI_BASE_URL=http://127.0.0.1:11434/v1 make run
```

All the rest stays as it is: I am reached through the same client and the same protocol as the real one would be.
""",
)

_TABLE = _answer(
    "table",
    "table, compare, comparison, columns, terminal, endings, status",
    """
Each answer ends in exactly one of these ways, and everybody in the room sees the same one:

| it ends as    | when                                            | its text |
|:--------------|:------------------------------------------------|:--------:|
| `completed`   | the model itself said that it was done          |   kept   |
| `incomplete`  | a limit was reached, or the stream just stopped |   kept   |
| `failed`      | the model refused, broke off or went silent     |   kept   |
| `cancelled`   | somebody pressed Stop                           |   kept   |
| `interrupted` | the server was restarted in the middle          |   kept   |

The first row is the strict one. A stream that merely ends is *incomplete*, because nobody can tell whether something was missing.
""",
)

_PYTHON = _answer(
    "python",
    "python, code, script, program, curl, http, sse, example code",
    """
A viewer in Python, with the standard library alone. It prints what the room writes, as it is written:

```python
import json
from urllib.request import urlopen

with urlopen("http://127.0.0.1:8080/v1/rooms/lobby/events") as stream:
    for line in stream:
        if not line.startswith(b"data:"):
            continue
        event = json.loads(line.removeprefix(b"data:"))
        match event["type"]:
            case "response.output_text.delta":
                print(event["delta"], end="", flush=True)
            case "response.completed":
                print(f"\\n[done: {event['response']['usage']['output_tokens']} tokens]")
```

Put the name of your room in the place of `lobby`. The stream opens with the room as it stands; after that come the events, each with its number.
""",
)

_JAVASCRIPT = _answer(
    "javascript",
    "javascript, js, typescript, browser, websocket, node, console, web, snippet",
    """
Paste this into the console of the browser, on this page. It joins the room `lobby`, asks something, and logs the answer:

```javascript
const socket = new WebSocket(`ws://${location.host}/v1/ws`, "roomcast.v1");

function send(type, fields = {}) {
  socket.send(JSON.stringify({ type, id: crypto.randomUUID(), room: "lobby", ...fields }));
}

socket.onopen = () => {
  send("room.join");
  send("message.create", { content: "How does resume work?" });
};

socket.onmessage = ({ data }) => {
  const event = JSON.parse(data);
  if (event.type === "response.output_text.delta") console.log(event.delta);
};
```

Everybody else in `lobby` sees your question, and the answer. The `id` makes it safe to send a command again after a lost connection: it takes effect once.
""",
)

_EMOJI = _answer(
    "emoji",
    "emoji, emojis, unicode, smile, smiley, symbols, flags",
    """
Emoji are harder than they look, so here are the difficult ones:

- a plain one: 🎉, and one with a skin tone: 👋🏽
- families, made of four people and three invisible joiners: 👨‍👩‍👧‍👦 and 👩‍👩‍👦‍👦
- at work: 👩🏾‍🚀 👨🏻‍🍳 🧑‍🔬, and a rainbow flag: 🏳️‍🌈
- flags of two letters each: 🇪🇺 🇯🇵 🇧🇷, and one of seven parts: 🏴󠁧󠁢󠁳󠁣󠁴󠁿
- keycaps: 1️⃣ 2️⃣ 3️⃣, and a heart that is not text: ❤️

Not emoji, but just as easy to break: é in two parts (é), the ligature ﬁ, 漢字, देवनागरी, ภาษาไทย, and 𝔣𝔯𝔞𝔨𝔱𝔲𝔯.

If you see a question mark in a box, or a family of four that has come apart 🎈, something on the way cut a character in two.
""",
)

_RIGHT_TO_LEFT = _answer(
    "right-to-left",
    "rtl, right to left, bidi, arabic, hebrew, persian, farsi, עברית, العربية, שלום, مرحبا",
    """
שלום! זו תשובה מדומה. כל מי שנמצא בחדר רואה את אותו הטקסט באותו הרגע.

مرحبًا! هذه إجابة تجريبية. كل من في الغرفة يرى النص نفسه في اللحظة نفسها.

سلام! این پاسخ شبیه‌سازی شده است و همه آن را هم‌زمان می‌بینند.

Each of the three lines above should start at the right edge. In a mixed sentence the words keep their own direction: the Hebrew word שלום means *peace*, the Arabic word غرفة means *room*, and the number 42 reads the same in each.
""",
)

_SHORT = _answer(
    "short",
    "short, brief, briefly, ok, okay, thanks, thank you, one word, test, ping, yes, no",
    """
Received, and shown to everybody in this room at the same time.
""",
)

_STORY = _answer(
    "story",
    "long, story, tell me a story, tell me a long story, essay, lighthouse, more",
    """
## The keeper's log

There was a lighthouse on a rock, far enough out that the harbour could only be seen on clear days. Its keeper had one duty besides the lamp. Whatever happened at sea, she wrote down: one line for each thing, a number before each line, and no line ever changed. *412: wind turns north. 413: a sail, two miles off. 414: the sail comes about.*

The fishermen wanted to know what she saw, all of them, and each in his own way. Old Maren rowed out every morning and read over her shoulder. Her eyes were on the pen, and she knew each line before the ink was dry. The twins came when the weather let them. And Joris, who was always late, came once a week, and wanted to hear everything.

At first she told each of them herself. When Maren was there she read aloud as she wrote. For the twins she kept a pile of notes beside the door, one for each day they stayed away, and the pile grew. For Joris she had to stop writing altogether. While she told him about Monday, Thursday went by outside and was never written down.

It could not go on like that. So she built a desk at the window, where anybody could stand, and laid the log open upon it. "I write," she told them. "I do not wait, and I do not repeat myself. Remember the number of the last line you have read, and begin with the one that follows."

Maren changed nothing. She stood where she had always stood, and her number was always the newest. The twins came on Friday with the number 430 in their heads, read up to 471, and were as wise as Maren. They had not needed the pile beside the door, and neither had the keeper, who burned it.

Joris came last of all. His number was 12. The keeper looked at the shelf, where the oldest books had long been taken to the archive, and shook her head. "I cannot give you what lies between," she said, "and I will not pretend that I can. But here is how things stand at line 471: which boats are out, which are home, and who is missed. Take it, and read on from 472 like everybody else." He grumbled. Then he noticed that it had taken no longer than a pipe of tobacco.

One winter night the lamp went out, and the keeper fell on the stairs. When her nephew took over, he found the log open at line 2,203, and the ink was dry. He did not know what she had seen after that, and he did not invent it. He wrote: *2,204: the watch was interrupted here.* Then he lit the lamp, and went on.

Everybody who had read line 2,203 could still find it. And nobody had ever read a line that was not in the book, because she had always written first, and only then stepped away from the window.
""",
)

ANSWERS: Final = (
    *(_HELLO, _LIST, _WHAT, _RESUME, _STOP, _SLOW, _CRASH, _KEY),
    *(_TABLE, _PYTHON, _JAVASCRIPT, _EMOJI, _RIGHT_TO_LEFT, _SHORT, _STORY),
)
"""Everything; where two are called for equally, the later one, which is the more particular, is taken."""

GENERAL: Final = (_WHAT, _RESUME, _STOP, _SLOW, _CRASH, _LIST)
"""What fits when nothing was called for."""
