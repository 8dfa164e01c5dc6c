"""How often the judge is right, measured on simulated nodes: `python -m bench.verdicts` (see `__main__` on how to read it)."""
