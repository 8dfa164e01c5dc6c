"""Many nodes, from samples to verdicts: objectives, rules, budgets, alerts.

The package knows the exporter only through `exporter.catalogue`; an import contract holds it to that. It needs the extra
`slo` (numpy, polars, urllib3), which no node carries.
"""
