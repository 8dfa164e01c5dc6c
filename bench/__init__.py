"""How much slicewatch costs, measured: `python -m bench` (see `bench/__main__.py` on how to read it)."""
