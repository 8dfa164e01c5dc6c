"""`slicewatch slo check`: whether objectives are kept."""
