"""The demo model: a small OpenAI-compatible upstream on a loopback socket, for when there is no key and no network.

    POST /v1/responses | /v1/chat/completions

    http ─ bytes → request ─► server ─► asking ─ request → ask ─► script ─► tokens ─ ask → pieces
     ▲                                                                               │
     └── steps (send, pause, cut, hold) ◄── scene ◄── responses_wire | chat_wire ◄───┘
                                             ▲
                                           faults (tests only)

The server talks to it through the real `openai` client, so that what runs without a key is the same code that runs
with one. Everything between the request and the steps is pure: only `http` waits, and only `server` listens.

Invariants
    D1  The text and its split into pieces depend on the seed and the prompt alone.
    D2  A client that hangs up ends its generation at once; the ledger counts it as aborted.
    D3  Nothing is faked silently: the text says that it is simulated, and so do the model's name and a header.
    D4  Faults happen only where they were asked for: a directive needs `DemoSettings.faults`, or call `inject`.

Not here: the client side (upstream/responses_api, upstream/chat_completions_api), and the choice between demo and a
real model (wiring).
"""

from roomcast.upstream.demo.faults import Fault, FaultKind
from roomcast.upstream.demo.server import DemoServer, serve_demo
from roomcast.upstream.demo.settings import DemoSettings

__all__ = ["DemoServer", "DemoSettings", "Fault", "FaultKind", "serve_demo"]
