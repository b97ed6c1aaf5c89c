"""Stage 0, the model: every vendor is spoken to here, and its words and errors are translated at this border.

    adapter (responses_api | chat_completions_api) ── request → connection: the `openai` client
                                                   └─ pieces ← payload ← event_stream ← bytes

`demo/` is a small model service of our own, spoken to through the same client; `tokens` estimates
what no service reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from roomcast.core.limits import Limits
from roomcast.core.ports import IdSource
from roomcast.core.settings import Secret, UpstreamSettings

if TYPE_CHECKING:
    from roomcast.upstream.adapter import OpenAIUpstream

__all__ = ["build_upstream"]

_SPARE_CONNECTIONS = 16
"""Beside the running generations: those that are being hung up."""


def build_upstream(
    settings: UpstreamSettings,
    *,
    base_url: str | None,
    api_key: Secret | None,
    simulated: bool,
    new_id: IdSource,
    limits: Limits,
) -> OpenAIUpstream:
    """Build the adapter for `settings.api`; nothing is connected yet.

    Args:
        settings: Which API, timeouts, organization and project; address and key are given apart,
            because the demo model brings its own.
        base_url: Where the service is; None means the vendor's own address.
        api_key: Its key, or None where none is wanted.
        simulated: Whether this is the demo model.
        new_id: Source of ids.
        limits: Bounds on lines, events and generations.
    """
    # On use, not on import: the client alone takes a second to import.
    from roomcast.upstream.chat_completions_api import ChatCompletionsUpstream
    from roomcast.upstream.connection import ModelService
    from roomcast.upstream.responses_api import ResponsesUpstream

    url = urlsplit(base_url or "")
    nearby = url.scheme == "http" and url.hostname in ("localhost", "127.0.0.1", "::1")
    service = ModelService(
        settings,
        base_url=base_url,
        api_key=api_key,
        direct=simulated or nearby,
        max_connections=limits.generations + _SPARE_CONNECTIONS,
    )
    place = "demo" if simulated else url.hostname or "openai"
    adapter = ResponsesUpstream if settings.api == "responses" else ChatCompletionsUpstream
    return adapter(service, name=f"{place} ({settings.api})", simulated=simulated, new_id=new_id, limits=limits)
