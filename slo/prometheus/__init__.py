"""Reading history and the present from whatever speaks Prometheus's API."""

from slo.prometheus.instant import Row
from slo.prometheus.probe import Route
from slo.prometheus.store import PrometheusStore, connect

__all__ = ["PrometheusStore", "Route", "Row", "connect"]
