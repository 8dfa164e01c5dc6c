"""`slicewatch slo report`: what a period came to, for people who read it later: reviews, finance, tenants."""
