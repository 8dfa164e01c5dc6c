"""The node's witnesses: one file (or package) a source, and none imports another."""
