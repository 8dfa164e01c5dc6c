"""`slicewatch slo run`: the evaluator as a service."""
