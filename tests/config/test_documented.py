"""config/roomcast.toml and config/profiles say what is true, and all of it."""

import re
from pathlib import Path

from roomcast.config import load
from roomcast.config.keys import KEYS
from roomcast.core.settings import Settings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "config" / "roomcast.toml"
PACKAGED = ROOT / "server" / "roomcast" / "config" / "defaults"

WITHOUT_DEFAULT = re.compile(r"# (\[\[auth\.tokens\]\]|\w+ = )")


def documented() -> dict[str, str]:
    """Each key that the file sets, or names in a comment of its own, with the comment behind it."""
    found: dict[str, str] = {}
    section = ""
    for line in FILE.read_text().splitlines():
        if header := re.fullmatch(r"\[(\w+)\].*", line.partition(" #")[0].strip()):
            section = header[1]
        elif key := re.match(r"(?:# )?(?:\[\[auth\.)?(\w+)(?: = |\]\])(?:[^#]*)# ?(.*)", line):
            found.setdefault(f"{section}.{key[1]}", key[2])
    return found


def test_the_file_holds_the_defaults() -> None:
    assert load(flags={}, environ={}, file=FILE) == load(flags={}, environ={}, file=None)


def test_each_key_is_in_the_file_in_the_order_of_the_code_and_has_a_reason() -> None:
    found = documented()
    keys = [key.path for names in KEYS.values() for key in names.values()]
    in_section = {section: [path for path in found if path.startswith(f"{section}.")] for section in KEYS}
    assert set(keys) <= set(found), sorted(set(keys) - set(found))
    assert in_section["limits"] == [path for path in keys if path.startswith("limits.")]
    assert [path for path in keys if len(found[path]) < 10] == []


def test_the_profile_beside_the_file_is_the_packaged_one() -> None:
    name = "profiles/default.toml"
    assert (FILE.parent / name).read_text() == (PACKAGED / name).read_text()


def test_a_model_is_named_in_data_only() -> None:
    """Models come and go; a release must not be needed for that."""
    assert Settings().upstream.model == ""
    assert load(flags={}, environ={}, file=None).upstream.model
    code = [path for path in (ROOT / "server" / "roomcast" / "config").glob("*.py") if "gpt" in path.read_text()]
    assert code == []
