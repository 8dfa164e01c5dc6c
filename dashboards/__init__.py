"""Grafana dashboards as code; what is imported is `dashboards/json`, written by `make gen`."""
