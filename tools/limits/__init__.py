"""Everything that slicewatch reads, with its bounds, as data: what docs/limits.md is made of."""
