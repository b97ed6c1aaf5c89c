"""The Python client: follow a room, and speak in it.

    room.py       connect, Room                     what a program holds
    session.py    one connection after the other    when to come back: comeback.py
    follower.py   messages become events            the rule about numbers: cursor.py
    inbox.py      outbox.py                         to the reader; to the server
    answers.py    roster.py   transcript.py         what it all adds up to
    link.py       listing.py   address.py           the socket; the rooms of a server

Everything but session.py, link.py, listing.py and room.py is free of I/O. `roomcast.connect` is the same.
"""

from roomcast.client.answers import Answer
from roomcast.client.comeback import Backoff
from roomcast.client.errors import ClientError, NotAllowed, Refused, RoomClosed, Unreachable
from roomcast.client.events import Asked, Page, RoomEvent, Status, Stopped
from roomcast.client.inbox import Inbox
from roomcast.client.listing import list_rooms
from roomcast.client.room import Room, connect
from roomcast.client.transcript import Message, Transcript
from roomcast.core.events import Cursor

__all__ = [
    "Answer",
    "Asked",
    "Backoff",
    "ClientError",
    "Cursor",
    "Inbox",
    "Message",
    "NotAllowed",
    "Page",
    "Refused",
    "Room",
    "RoomClosed",
    "RoomEvent",
    "Status",
    "Stopped",
    "Transcript",
    "Unreachable",
    "connect",
    "list_rooms",
]
