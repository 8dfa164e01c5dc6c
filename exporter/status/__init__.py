"""`slicewatch status`: every partition of a node or a fleet on one line, the worst first."""
