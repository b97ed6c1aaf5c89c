"""The settings as frozen values. `config` fills them; nobody else reads files or the environment.

Bounds are in limits.py, named assistants in profile.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from roomcast.core.limits import Limits
from roomcast.core.profile import Profile
from roomcast.core.session import Role

__all__ = [
    "AuthSettings",
    "DemoSettings",
    "LogSettings",
    "RoomSettings",
    "Secret",
    "ServerSettings",
    "Settings",
    "StaticToken",
    "StorageSettings",
    "UpstreamSettings",
]

OnBusy = Literal["enqueue", "reject", "interrupt", "latest", "merge", "debounce"]


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A string that no log line, traceback or `config show` will print."""

    value: str

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where we listen, and who may call from which page."""

    host: str = "127.0.0.1"
    port: int = 8080
    drain_timeout_s: float = 30.0
    allowed_origins: Sequence[str] = ()
    trusted_proxies: Sequence[str] = ()
    workers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticToken:
    """A bearer token from the configuration and whom it stands for."""

    token: Secret
    member: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """How members prove who they are; `off` makes everybody an owner and needs a loopback address."""

    mode: Literal["off", "token"] = "off"
    tokens: Sequence[StaticToken] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """Which model service we speak to and how long we wait for it.

    Attributes:
        base_url: None means the vendor's own address, or the demo model when there is no key either.
    """

    api: Literal["responses", "chat_completions"] = "responses"
    model: str = ""
    base_url: str | None = None
    api_key: Secret | None = None
    organization: str | None = None
    project: str | None = None
    first_output_timeout_s: float = 60.0
    idle_timeout_s: float = 30.0
    total_timeout_s: float = 600.0
    connect_timeout_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """How the demo model behaves; used only when there is no key and no base address."""

    seed: int = 0
    first_token_ms: float = 250.0
    tokens_per_second: float = 40.0
    jitter: float = 0.3
    faults: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """What a room does unless it or a command says otherwise."""

    on_busy: OnBusy = "enqueue"
    debounce_s: float = 2.0
    respond: Literal["always", "never"] = "always"
    create: bool = True
    orphan_grace_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """Where the log lives and what a commit survives."""

    url: str = "sqlite:///{data}/roomcast.db"
    data: str = "./roomcast-data"
    durability: Literal["process", "host"] = "process"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """How we tell operators what happens."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything, effective and validated."""

    server: ServerSettings = field(default_factory=ServerSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    upstream: UpstreamSettings = field(default_factory=UpstreamSettings)
    demo: DemoSettings = field(default_factory=DemoSettings)
    rooms: RoomSettings = field(default_factory=RoomSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    log: LogSettings = field(default_factory=LogSettings)
    limits: Limits = field(default_factory=Limits)
    profiles: Mapping[str, Profile] = field(default_factory=lambda: {"default": Profile(name="default")})

    @property
    def simulated(self) -> bool:
        """Whether the demo model answers: there is neither a key nor a base address."""
        return self.upstream.base_url is None and self.upstream.api_key is None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Everything here that must never show, for whoever writes logs."""
        key = (self.upstream.api_key,) if self.upstream.api_key else ()
        return (*key, *(static.token for static in self.auth.tokens))
