"""The truth bench: random shared devices whose true demand is known, and how often the judge of the exporter is right.

Run `python -m bench.truth` (the reported set) or `python -m bench.truth --quick`. The physics here and the truth made
from it share no line with the judge: what a tenant was entitled to is found by running its own stream of work alone on
a device as fast as its promise.
"""
