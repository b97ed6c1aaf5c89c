"""Endurance: rooms, churn and faults for as long as one likes, with the auditor on.

    make soak MINUTES=20            (or: python -m tests.soak --minutes 20 --seed 7)

    chapters.py    a minute of life in rooms of its own, then rest, then the auditor
    people.py      visitors who come and go, and askers
    misfortune.py  what goes wrong meanwhile, from the seed
    model.py       the demo model, in a process of its own
    watch.py       what the server holds: memory, descriptors, tasks, rooms
    report.py      what was seen

The memory of the soak is bounded by one chapter: its rooms come to rest, every transcript is held against
the whole log of its room, and both are thrown away. So it may run for days.

Restarts and kills are confined to the first third of the time: memory is measured on the server that is left then,
over the second half of its life.
"""
