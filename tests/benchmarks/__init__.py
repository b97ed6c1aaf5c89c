"""How fast it is, measured from the outside: `make bench`, or `python -m tests.benchmarks`.

    __main__.py     options, order, exit status
    measures/       one file per question; each says what it does and what it leaves out
    contenders.py   what is measured: roomcast, and three small servers to compare with
    tools.py        building and running `crowd`: the model service and all viewers, one C program
    checking.py     proves first that lost and repeated tokens are noticed
    machine.py      compiler, open files, cores
    report.py       figures with their targets, tables, results file

Every server is a process of its own on core 0, `crowd` is on core 1, all on the loopback interface.
Absolute figures tell the machine; ratios within one run tell the program.
"""
