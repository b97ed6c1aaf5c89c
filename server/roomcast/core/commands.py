"""What clients may ask, as types: decoding into one of these is the whole check of shape.

Every command has `type`, `id` and its fields; an unknown field is an error. Commands that
this version documents but does not serve yet are here too, so that a wrong shape is told
first and `not_supported` second.

Not here: turning bytes into commands (wire.py); deciding what follows (rules.py).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType  # UNSET: not given, as opposed to null

from roomcast.core.events import JsonObject
from roomcast.core.ids import COMMAND_ID, ROOM_NAME

__all__ = ["COMMAND_TYPES", "LOGGED", "NOT_YET", "Command", "Input", "InputMessage", "InputText", "RoomCommand"]

MAX_INTEGER: Final = 2**53
"""Beyond it, JSON readers disagree about what an integer is."""

Id = Annotated[str, Meta(pattern=f"^{COMMAND_ID.pattern}\\Z", max_length=64)]
RoomName = Annotated[str, Meta(pattern=f"^{ROOM_NAME.pattern}\\Z", max_length=128)]
ObjectId = Annotated[str, Meta(min_length=1, max_length=128)]
ShortText = Annotated[str, Meta(max_length=1_000)]
Seq = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Metadata: TypeAlias = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]

Include = Literal["reasoning", "tools", "annotations", "media"]
OnBusy = Literal["enqueue", "reject", "interrupt", "rollback", "alongside", "steer", "latest", "merge", "debounce"]
OnSlow = Literal["coalesce", "snapshot", "disconnect"]


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", kw_only=True):
    """Anything a client may send."""

    id: Id

    @property
    def type(self) -> str:
        """Name on the wire, such as `room.join`."""
        return str(self.__struct_config__.tag)


class RoomCommand(Command, frozen=True, kw_only=True):
    """A command that concerns one room."""

    room: RoomName


class After(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a client that comes back stands."""

    epoch: Annotated[str, Meta(max_length=128)]
    seq: Seq


class InputText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="input_text", tag_field="type"):
    """A part of a message: text."""

    text: str


class InputImage(msgspec.Struct, frozen=True, tag="input_image", tag_field="type"):
    """A part of a message: an image; not served yet."""


class InputFile(msgspec.Struct, frozen=True, tag="input_file", tag_field="type"):
    """A part of a message: a file; not served yet."""


Parts: TypeAlias = Annotated[list[InputText | InputImage | InputFile], Meta(min_length=1, max_length=64)]


class InputMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="message", tag_field="type"):
    """One message in OpenAI's `input` list; `wire.decode` fills in a `type` that was left out."""

    content: str | Parts
    role: Literal["user"] = "user"


Input: TypeAlias = InputText | InputImage | InputFile | InputMessage
Inputs: TypeAlias = Annotated[list[Input], Meta(min_length=1, max_length=64)]


class SessionAuthenticate(Command, frozen=True, tag="session.authenticate", kw_only=True):
    """Prove who this connection speaks for."""

    token: Annotated[str, Meta(min_length=1, max_length=8_192)]


class SessionPing(Command, frozen=True, tag="session.ping", kw_only=True):
    """Ask whether the server is there."""


class RoomJoin(RoomCommand, frozen=True, tag="room.join", kw_only=True):
    """Subscribe to a room, from a cursor or from a snapshot."""

    after: After | None = None
    include: Annotated[list[Include], Meta(max_length=8)] | None = None
    on_slow: OnSlow = "coalesce"
    items: Annotated[int, Meta(ge=0, le=10_000)] = 50
    tools: Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=64)] | None = None


class RoomLeave(RoomCommand, frozen=True, tag="room.leave", kw_only=True):
    """Unsubscribe."""


class RoomSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a room does with prompts; null takes the server's default, what is left out stays."""

    on_busy: OnBusy | UnsetType | None = UNSET
    respond: Literal["always", "never"] | UnsetType | None = UNSET


class RoomUpdate(RoomCommand, frozen=True, tag="room.update", kw_only=True):
    """Change title or settings."""

    title: Annotated[str, Meta(max_length=200)] | None = None
    settings: RoomSettings | None = None


class RoomDelete(RoomCommand, frozen=True, tag="room.delete", kw_only=True):
    """Delete the room."""


class MessageCreate(RoomCommand, frozen=True, tag="message.create", kw_only=True):
    """Say something; by default the model answers."""

    content: str | Parts
    parent_id: ObjectId | None = None
    respond: Literal["auto", "always", "never"] = "auto"
    profile: ObjectId | None = None
    on_busy: OnBusy | None = None


class ResponseCreate(RoomCommand, frozen=True, tag="response.create", kw_only=True):
    """Ask the model directly, with OpenAI's fields where the profile allows them."""

    input: str | Inputs | None = None
    parent_id: ObjectId | None = None
    profile: ObjectId | None = None
    on_busy: OnBusy | None = None
    model: ObjectId | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    temperature: Annotated[float, Meta(ge=0, le=2)] | UnsetType = UNSET
    top_p: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    max_output_tokens: Annotated[int, Meta(ge=1, le=10_000_000)] | UnsetType = UNSET
    text: JsonObject | UnsetType = UNSET
    reasoning: JsonObject | UnsetType = UNSET
    tools: list[JsonObject] | UnsetType = UNSET
    tool_choice: str | JsonObject | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    truncation: Literal["auto", "disabled"] | UnsetType = UNSET
    service_tier: str | UnsetType = UNSET
    prompt_cache_key: str | UnsetType = UNSET
    safety_identifier: str | UnsetType = UNSET

    def fields(self) -> JsonObject:
        """OpenAI's fields that were given, other than `input`."""
        own = {"id", "room", "input", "parent_id", "profile", "on_busy"}
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name not in own}
        return {name: value for name, value in given.items() if value is not UNSET}


class ResponseCancel(RoomCommand, frozen=True, tag="response.cancel", kw_only=True):
    """Stop a response; by default the running one."""

    response_id: ObjectId | None = None
    reason: ShortText | None = None
    discard: bool = False


class ResponseSteer(RoomCommand, frozen=True, tag="response.steer", kw_only=True):
    """Tell a running response something."""

    response_id: ObjectId
    input: str | Inputs


class ResponseRegenerate(RoomCommand, frozen=True, tag="response.regenerate", kw_only=True):
    """Answer the same prompt once more, as a sibling."""

    response_id: ObjectId
    model: ObjectId | None = None
    profile: ObjectId | None = None


class ItemEdit(RoomCommand, frozen=True, tag="item.edit", kw_only=True):
    """Say it differently, as a sibling."""

    item_id: ObjectId
    content: str | Parts
    respond: Literal["auto", "always", "never"] = "auto"


class ItemRetract(RoomCommand, frozen=True, tag="item.retract", kw_only=True):
    """Take an item's content back."""

    item_id: ObjectId
    reason: ShortText | None = None


class ItemRate(RoomCommand, frozen=True, tag="item.rate", kw_only=True):
    """Say whether an item was any good."""

    item_id: ObjectId
    rating: Literal[-1, 0, 1]
    comment: ShortText | None = None


class BranchSelect(RoomCommand, frozen=True, tag="branch.select", kw_only=True):
    """Move the room's head item."""

    item_id: ObjectId


class QueueUpdate(RoomCommand, frozen=True, tag="queue.update", kw_only=True):
    """Change or remove a waiting prompt."""

    response_id: ObjectId
    content: str | Parts | None = None
    position: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    remove: bool = False


class ToolDecide(RoomCommand, frozen=True, tag="tool.decide", kw_only=True):
    """Approve or reject a tool call."""

    call_id: ObjectId
    decision: Literal["approve", "reject"]
    arguments_digest: Annotated[str, Meta(max_length=80)]


class ToolOutput(RoomCommand, frozen=True, tag="tool.output", kw_only=True):
    """What a client's tool returned."""

    call_id: ObjectId
    output: str


class PresenceUpdate(RoomCommand, frozen=True, tag="presence.update", kw_only=True):
    """Say what this member is doing; a signal."""

    state: JsonObject


class HistoryList(RoomCommand, frozen=True, tag="history.list", kw_only=True):
    """Older items, newest first."""

    before: ObjectId | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class HistorySearch(RoomCommand, frozen=True, tag="history.search", kw_only=True):
    """Find items by words or by meaning."""

    query: Annotated[str, Meta(min_length=1, max_length=1_000)]
    mode: Literal["text", "semantic", "hybrid"] = "text"
    limit: Annotated[int, Meta(ge=1, le=200)] = 20


COMMAND_TYPES: Final[dict[str, type[Command]]] = {
    str(command.__struct_config__.tag): command
    for command in (
        SessionAuthenticate,
        SessionPing,
        RoomJoin,
        RoomLeave,
        RoomUpdate,
        RoomDelete,
        MessageCreate,
        ResponseCreate,
        ResponseCancel,
        ResponseSteer,
        ResponseRegenerate,
        ItemEdit,
        ItemRetract,
        ItemRate,
        BranchSelect,
        QueueUpdate,
        ToolDecide,
        ToolOutput,
        PresenceUpdate,
        HistoryList,
        HistorySearch,
    )
}

LOGGED: Final = (RoomUpdate, RoomDelete, MessageCreate, ResponseCreate, ResponseCancel, QueueUpdate)
"""Commands that change a log; their answers are kept as receipts."""

NOT_YET: Final = (
    ResponseSteer,
    ResponseRegenerate,
    ItemEdit,
    ItemRetract,
    ItemRate,
    BranchSelect,
    ToolDecide,
    ToolOutput,
    HistorySearch,
)
"""Commands that are documented and answered `not_supported` by this version."""
