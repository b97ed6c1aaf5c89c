"""The page: its files, from memory, with the headers that keep it to itself.

Everything that is served is read once when the application is built, so an address can only
name a file that is there: no path is ever made from a request.

Not here: what the files do (web/).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["page_routes"]

# The page makes no HTML out of strings, so no Trusted Types policy is named: none may be made.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
"""Kinds of files that are served; whatever else lies in the folder is not."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it is answered."""

    body: bytes
    kind: str
    etag: str


def page_routes(folder: Traversable | None = None) -> list[Route]:
    """The addresses of the page.

    Args:
        folder: Where its files are; by default those of the package.
    """
    found = dict(_read(folder or files("roomcast").joinpath("web"), ""))

    async def asset(request: Request) -> Response:
        file = found.get(request.path_params["path"])
        if file is None:
            raise HTTPException(404)
        return _answer(file, request)

    async def one(name: str, request: Request) -> Response:
        return _answer(found[name], request)

    return [
        Route("/", partial(one, "index.html")),
        Route("/r/{room}", partial(one, "index.html")),
        Route("/roomcast.js", partial(one, "roomcast.js")),
        Route("/favicon.ico", partial(one, "icon.svg")),
        Route("/assets/{path:path}", asset),
    ]


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, _File]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _read(entry, f"{prefix}{entry.name}/")
        elif kind := _TYPES.get(entry.name[entry.name.rfind(".") :]):
            body = entry.read_bytes()
            yield prefix + entry.name, _File(body, kind, f'"{sha256(body).hexdigest()[:32]}"')


def _answer(file: _File, request: Request) -> Response:
    headers = {
        "Content-Security-Policy": _POLICY,
        "X-Frame-Options": "DENY",
        "X-DNS-Prefetch-Control": "off",
        "Cache-Control": "no-cache",  # kept, but asked for again: a new version shows at once
        "ETag": file.etag,
    }
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if file.etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(file.body, headers={**headers, "Content-Type": file.kind})
