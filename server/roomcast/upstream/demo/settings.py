"""What can be set on the demo model."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DemoSettings"]


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """Settings of one demo upstream.

    Attributes:
        seed: Chooses among possible texts and splits; the same seed and prompt always give the same answer.
        model: Name under which it answers, whatever name was asked for, as OpenAI answers an alias with a snapshot.
        first_token_ms: Mean time from the request to the first piece of text.
        tokens_per_second: Mean pace after that; `math.inf` for as fast as the client reads.
        jitter: Spread of both, as a fraction: 0.3 is up to 30 % sooner or later, 0 is a metronome.
        port: Loopback port to listen on; 0 lets the system choose.
        api_key: Key that a request must carry; with `None` any will do.
        faults: Whether a prompt may start with a `!fault` directive. For tests, never for users.
        record_requests: How many of the newest requests `DemoServer.seen` keeps, bodies included.
    """

    seed: int = 0
    model: str = "roomcast-demo"
    first_token_ms: float = 250.0
    tokens_per_second: float = 40.0
    jitter: float = 0.3
    port: int = 0
    api_key: str | None = None
    faults: bool = False
    record_requests: int = 0

    def __post_init__(self) -> None:
        # Written so that NaN is refused as well: it fails every comparison.
        if not self.first_token_ms >= 0:
            raise ValueError("first_token_ms must not be negative")
        if not self.tokens_per_second > 0:
            raise ValueError("tokens_per_second must be positive")
        if not 0 <= self.jitter <= 1:
            raise ValueError("jitter must be between 0 and 1")
