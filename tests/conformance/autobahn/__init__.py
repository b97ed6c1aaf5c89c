"""The Autobahn test suite against our listener: `python -m tests.conformance.autobahn`, or `make conformance`.

    echo.py      the listener and the connection of /v1/ws, with an echo where commands would be read
    suite.py     a Python 2.7, the suite in an environment of its own, one run of it
    table.py     what each case did, and what is expected instead
    table.json   what is expected: every case, and a reason for each that is not simply OK

Not part of `make test`, which has tests/conformance/test_autobahn.py: it needs no Python 2.7.
"""
