"""Backups of the store that the settings name, for the command line."""

from __future__ import annotations

from pathlib import Path

from roomcast.core.errors import ServerError
from roomcast.core.settings import Settings
from roomcast.storage import back_up, restore
from roomcast.wiring.outside import StartError

__all__ = ["back_up_store", "restore_store"]


def back_up_store(settings: Settings, target: Path) -> None:
    """Copy the store to `target`, while a server runs on it or not.

    Raises:
        StartError: It could not be done; the message says why.
    """
    try:
        back_up(_database(settings), target)
    except ServerError as error:
        raise StartError(str(error)) from error


def restore_store(settings: Settings, backup: Path) -> Path | None:
    """Put `backup` in the place of the store; returns where the old one is kept, if there was one.

    Raises:
        StartError: It could not be done; the message says why.
    """
    try:
        return restore(backup, _database(settings))
    except ServerError as error:
        raise StartError(str(error)) from error


def _database(settings: Settings) -> Path:
    url = settings.storage.url
    if not url.startswith("sqlite:///"):
        raise StartError(f"only a store in a file can be copied, and this one is {url}")
    return Path(url.removeprefix("sqlite:///"))
