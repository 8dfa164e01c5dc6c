"""A Prometheus, Mimir, Thanos or VictoriaMetrics as `slo.samples` sees a store: it remembers, and it knows the present.

The fastest of three ways to read history is found out once, when the store is first asked:

* remote read, streamed: Prometheus since 2.13, Mimir;
* export: VictoriaMetrics;
* the query API: what all of them have, and all that Thanos has.

Remote read adds a Prometheus's external labels to every series, the query API does not: they are added here, so that a
partition is the same one whichever way its samples came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from slo.prometheus import frames, instant, query_api, remote_read, vm_export
from slo.prometheus.client import Client, Clock
from slo.prometheus.instant import Row
from slo.prometheus.paging import DAY, paged
from slo.prometheus.probe import Route, external_labels, route
from slo.prometheus.runs import Labels, Series
from slo.prometheus.selector import milliseconds
from slo.samples import Samples
from slo.spec import Matcher, Op
from toolkit.site import Site

_Fetch = Callable[[Client, str, Sequence[Matcher], int, int, Series], None]
_FETCH: Final[Mapping[Route, _Fetch]] = {
    Route.REMOTE_READ: remote_read.fetch,
    Route.EXPORT: vm_export.fetch,
    Route.QUERY: instant.fetch,
}
_PAGE: Final[Mapping[Route, int]] = {Route.REMOTE_READ: 7 * DAY, Route.EXPORT: DAY, Route.QUERY: DAY}
"""Milliseconds of a page: an answer in JSON is held as a whole, or nearly, before it is numbers."""


def connect(
    site: Site, *, deadline: float, tenant: str | None = None, route: Route | None = None, clock: Clock | None = None
) -> PrometheusStore:
    """Return a store, without asking it anything yet.

    `deadline`: seconds for each whole answer, of which a long range takes many. `tenant`: X-Scope-OrgID, for Mimir.
    `route`: the way to history, when it shall not be found out.
    """
    headers = {"User-Agent": "slicewatch"} | ({"X-Scope-OrgID": tenant} if tenant else {})
    return PrometheusStore(Client(site, deadline=deadline, headers=headers, clock=clock), route)


class PrometheusStore:
    """A store over HTTP: History and Now of `slo.samples`. Every method raises UnreachableError with one line."""

    def __init__(self, client: Client, route: Route | None) -> None:
        self._client = client
        self._route = route
        self._page = 0
        self._external: Mapping[str, str] | None = None
        self._json = Labels(lambda written: {**(self._external or {}), **query_api.labels(written)})
        self._protobuf = Labels(frames.labels)

    @property
    def name(self) -> str:
        """Its address, without a password."""
        return self._client.url

    @property
    def route(self) -> Route:
        """The way to its history; found out when it is first asked."""
        if self._route is None:
            self._route = route(self._client)
        return self._route

    def read(self, metric: str, matchers: Sequence[Matcher], start: float, end: float) -> Samples:
        """Return the samples of a metric with start < t ≤ end (Unix seconds).

        Staleness markers are among them but on the route `query`. What is asked for is held in memory: some 20 bytes a
        sample, and as much again while it is read.
        """
        way = self.route
        series = Series(self._protobuf if way is Route.REMOTE_READ else self._json)
        asked = matchers if way is Route.REMOTE_READ else self._own(matchers)
        fetch = _FETCH[way]

        def page(after: int, until: int) -> None:
            fetch(self._client, metric, asked, after, until, series)

        self._page = paged(page, milliseconds(start), milliseconds(end), self._page or _PAGE[way])
        return series.samples()

    def read_at(self, metric: str, matchers: Sequence[Matcher], at: float) -> Samples:
        """Return the newest sample of each live series at an instant, at most five minutes old (as the server is set).

        Its time is `at`: the query API does not tell the sample's own.
        """
        series = Series(self._json)
        instant.newest(self._client, metric, self._own(matchers), milliseconds(at), series)
        return series.samples()

    def query(self, expression: str, at: float) -> tuple[Row, ...]:
        """Return the answer to a PromQL expression at an instant; labels as the query API has them."""
        return instant.rows(self._client, expression, milliseconds(at))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _own(self, matchers: Sequence[Matcher]) -> list[Matcher]:
        """Matchers without those that the external labels meet: the series in the store do not have them."""
        if self._external is None:
            self._external = external_labels(self._client)
        known = self._external
        return [each for each in matchers if not (each.op is Op.EQUAL and known.get(each.label) == each.value)]
