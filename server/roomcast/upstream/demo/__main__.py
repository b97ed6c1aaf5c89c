"""Run the demo upstream alone: `python -m roomcast.upstream.demo`. Its base address is the one line on the output."""

from __future__ import annotations

import argparse
import sys

import anyio

from roomcast.upstream.demo.server import serve_demo
from roomcast.upstream.demo.settings import DemoSettings


def _read_arguments(arguments: list[str]) -> DemoSettings:
    default = DemoSettings()
    parser = argparse.ArgumentParser(prog="python -m roomcast.upstream.demo", description=__doc__)
    parser.add_argument("--port", type=int, default=default.port, help="loopback port; 0 lets the system choose")
    parser.add_argument("--seed", type=int, default=default.seed, help="same seed, same answers")
    parser.add_argument("--model", default=default.model, help="name to answer under")
    parser.add_argument("--first-token-ms", type=float, default=default.first_token_ms, help="time to the first token")
    parser.add_argument("--tokens-per-second", type=float, default=default.tokens_per_second, help="inf: no pause")
    parser.add_argument("--jitter", type=float, default=default.jitter, help="spread of both, from 0 to 1")
    parser.add_argument("--api-key", default=default.api_key, help="key to insist on; any will do without")
    parser.add_argument("--faults", action="store_true", help="let prompts start with a !fault directive")
    try:
        return DemoSettings(**vars(parser.parse_args(arguments)))
    except ValueError as error:
        parser.error(str(error))


async def _run(settings: DemoSettings) -> None:
    async with serve_demo(settings) as server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        await anyio.sleep_forever()


if __name__ == "__main__":
    try:
        anyio.run(_run, _read_arguments(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
