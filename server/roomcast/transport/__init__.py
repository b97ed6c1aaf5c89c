"""Stage 4: payloads become bytes on sockets, and bytes from sockets become commands."""
