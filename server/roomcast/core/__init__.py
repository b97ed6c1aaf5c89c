"""The rules. Pure: no loop, no clock, no randomness, no socket, no file, no log line.

Time, ids and everything that happened outside come in as values; events, replies and
refusals go out as values. Every file here can be walked by hypothesis on a virtual clock.
"""
