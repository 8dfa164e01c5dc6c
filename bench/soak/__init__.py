"""An hour of churn on one node, and whether the exporter grows in it."""
