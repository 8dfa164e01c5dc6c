"""Many nodes, from samples to verdicts: the SLO evaluator.

Nothing is here yet but the place. The package knows the exporter only through `exporter.catalogue`; an import contract
holds it to that from the first day.
"""
