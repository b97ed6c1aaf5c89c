"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["ConfigFile", "Data", "Host", "Name", "Port", "RoomName", "Token", "Url", "Workers", "settings_flags"]


def _address(url: str) -> str:
    from roomcast.client.address import Address

    try:
        Address.parse(url)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return url


def _guest() -> str:
    import secrets

    return f"guest-{secrets.token_hex(2)}"


def _room(name: str) -> str:
    from roomcast.core.ids import ROOM_NAME

    if ROOM_NAME.fullmatch(name) is None:
        raise typer.BadParameter("a room is named by 1 to 128 letters, digits and . _ ~ -, the first a letter or digit")
    return name


Url = Annotated[
    str, typer.Option(help="Address of the server.", envvar="ROOMCAST_URL", metavar="URL", callback=_address)
]
Token = Annotated[
    str | None,
    typer.Option(help="Bearer token, where the server asks for one.", envvar="ROOMCAST_TOKEN", metavar="TOKEN"),
]
Name = Annotated[
    str,
    typer.Option(
        default_factory=_guest, show_default="guest-…", help="Your name, as the others see it.", metavar="NAME"
    ),
]
RoomName = Annotated[str, typer.Argument(help="Name of the room.", metavar="ROOM", callback=_room, show_default=False)]

Host = Annotated[str | None, typer.Option(help="Address to listen on.", metavar="HOST", show_default="127.0.0.1")]
Port = Annotated[
    int | None, typer.Option(help="Port to listen on; 0 chooses one.", metavar="PORT", show_default="8080")
]
Data = Annotated[
    Path | None,
    typer.Option(help="Folder of the store; made if need be.", metavar="DIR", show_default="./roomcast-data"),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.", metavar="FILE")]
Workers = Annotated[int | None, typer.Option(help="Processes that serve.", metavar="N", show_default="1")]


def settings_flags(host: str | None, port: int | None, data: Path | None, workers: int | None) -> dict[str, object]:
    """The flags as the settings name them; None means not given."""
    return {
        "server.host": host,
        "server.port": port,
        "server.workers": workers,
        "storage.data": None if data is None else str(data),
    }
