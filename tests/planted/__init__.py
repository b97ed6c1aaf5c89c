"""Faults planted on purpose, each in a copy of the source, and the tests that must notice it: `make planted`.

faults.py     what is planted, and which tests must fail
planting.py   a copy of the tree, a fault in it, a run of tests on it
__main__.py   the whole list, and a table of what happened
"""
