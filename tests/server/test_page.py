"""Pages, their prepared forms, the landing page, and what a scraper's headers ask for."""

from __future__ import annotations

import gzip
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.landing import About, SourceHealth, render
from toolkit.web.negotiation import gzip_wanted, metrics_format
from toolkit.web.page import Format, Page, Publisher

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROTOBUF_FIRST = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,"
    "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.3,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format.TEXT),
        (PROMETHEUS_2, Format.OPENMETRICS),
        (PROMETHEUS_3, Format.OPENMETRICS),
        (PROTOBUF_FIRST, Format.TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4", Format.TEXT),
        ("text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0", Format.OPENMETRICS),
        ("APPLICATION/OpenMetrics-Text; Version=1.0.0 ; q=1.0", Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', Format.OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", Format.TEXT),
        ("application/openmetrics-text;version=2.0.0", Format.TEXT),
        ("application/openmetrics-text;q=0", Format.TEXT),
        ("application/openmetrics-text;q=nan,text/plain;q=0.1", Format.TEXT),
        ("application/openmetrics-text;q=x", Format.TEXT),
        ("image/png", Format.TEXT),
        (",;,;;q=", Format.TEXT),
    ],
)
def test_the_format_with_the_highest_quality_is_chosen(accept: str, expected: Format):
    assert metrics_format(accept) is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("*", True),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity", False),
        ("x-gzip", False),
    ],
)
def test_gzip_is_sent_only_when_it_is_accepted(header: str, expected: bool):  # noqa: FBT001  # a table's column
    assert gzip_wanted(header) is expected


@given(st.text())
def test_no_header_makes_negotiation_fail(header: str):
    metrics_format(header)
    gzip_wanted(header)


class Renderer:
    """A lazy body that counts how often it was rendered."""

    def __init__(self, body: bytes = b"{}") -> None:
        self.body, self.calls = body, 0

    def __call__(self) -> bytes:
        """Render."""
        self.calls += 1
        return self.body


def page(snapshot: Renderer) -> Page:
    return Page(text=b"text", openmetrics=b"om", snapshot=snapshot, at=1.0)


def test_a_lazy_body_is_rendered_once_however_many_ask_at_a_time():
    renderer = Renderer(b"x" * 1000)
    made = page(renderer)
    got: list[bytes] = []
    askers = [threading.Thread(target=lambda: got.append(made.body(Format.SNAPSHOT, gzipped=True))) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert made.body(Format.SNAPSHOT) == b"x" * 1000
    assert renderer.calls == 1
    assert {gzip.decompress(body) for body in got} == {b"x" * 1000}
    assert all(body is got[0] for body in got)


def test_compressing_does_not_render_again():
    renderer = Renderer()
    made = page(renderer)
    made.body(Format.SNAPSHOT)
    made.body(Format.SNAPSHOT, gzipped=True)
    assert renderer.calls == 1


def scraped(times: list[float], wanted: Format, until: int) -> list[int]:
    """Publish once a second and ask at these times; return the seconds whose page was prepared ahead."""
    now = [0.0]
    publisher = Publisher(lambda: now[0])
    prepared = []
    for second in range(until):
        now[0] = float(second)
        text, snapshot = Renderer(), Renderer()
        publisher.publish(Page(text=text, openmetrics=b"", snapshot=snapshot, at=now[0]))
        if text.calls + snapshot.calls:
            prepared.append(second)
        for at in times:
            if second <= at < second + 1:
                now[0] = at
                assert publisher.serve(wanted, gzipped=True) is not None
    return prepared


def test_a_page_is_prepared_ahead_when_the_next_scrape_is_expected_before_the_one_after_it():
    assert scraped([0.5, 10.5, 20.5, 30.5], Format.TEXT, 35) == [19, 20, 29, 30]


def test_a_scrape_each_second_finds_every_page_prepared():
    assert scraped([n + 0.5 for n in range(6)], Format.TEXT, 7) == [2, 3, 4, 5, 6]


def test_a_scrape_that_is_late_is_waited_for_and_one_that_stays_away_is_given_up():
    assert scraped([0.5, 5.5], Format.TEXT, 320) == list(range(9 + 0, 306))


def test_the_snapshot_is_never_rendered_ahead():
    assert scraped([n + 0.5 for n in range(6)], Format.SNAPSHOT, 7) == []


def test_a_form_that_cannot_be_rendered_does_not_hold_back_the_page():
    def fail() -> bytes:
        raise ZeroDivisionError

    now = [0.0]
    publisher = Publisher(lambda: now[0])
    publisher.publish(page(Renderer()))
    for second in (1.0, 2.0):
        now[0] = second
        publisher.serve(Format.TEXT, gzipped=False)
    now[0] = 3.0
    publisher.publish(Page(text=fail, openmetrics=b"new", snapshot=b"", at=2.0))
    assert publisher.serve(Format.OPENMETRICS, gzipped=False) == b"new"
    with pytest.raises(ZeroDivisionError):
        publisher.serve(Format.TEXT, gzipped=False)


def test_equal_pages_make_equal_compressed_bytes():
    assert page(Renderer()).body(Format.TEXT, gzipped=True) == page(Renderer()).body(Format.TEXT, gzipped=True)


def test_a_publisher_is_fresh_for_a_while_after_its_start_and_after_each_page():
    now = [100.0]
    publisher = Publisher(lambda: now[0])
    now[0] = 130.0
    assert publisher.fresh(30)
    now[0] = 130.5
    assert not publisher.fresh(30)
    publisher.publish(page(Renderer()))
    assert publisher.fresh(30)


def test_the_landing_page_names_node_and_sources_and_escapes_them():
    html = render(About("<node>", (SourceHealth("nvml", up=True), SourceHealth("kubelet", up=False, detail="<b>"))))
    assert "&lt;node&gt;" in html
    assert "<td>nvml</td><td>up</td>" in html
    assert "<td>kubelet</td><td>down</td><td>&lt;b&gt;</td>" in html
    assert "<node>" not in html
    assert 'href="metrics"' in html
    assert "<table>" not in render(About("n"))
