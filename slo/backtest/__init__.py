"""`slicewatch slo backtest`: what objectives would have paged for."""
