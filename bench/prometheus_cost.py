"""What exporters cost the Prometheus that scrapes them: series, memory, CPU, for each partition.

    python -m bench.prometheus_cost [--nodes N] [--partitions P] [--interval S] [--seconds T]

One simulated node runs in this process under the exporter's own pipeline, a tick a second. Its page is served as the pages of
N nodes, each with GPUs of its own, and a real Prometheus scrapes all of them. Memory is the server's resident memory above what
it had before the first scrape, CPU its own count of seconds; both are divided by what was scraped. The interval is short, so
that a minute shows as many samples as many minutes would; what a sample costs does not depend on it. Blocks on disk are not
measured: they are written after two hours.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from bench.program import Program, free_port, running
from bench.table import aligned
from exporter.collect import Collector, Tick
from exporter.simulator.sources import build
from exporter.simulator.synthetic import synthetic
from exporter.witness import Sources

INTERVAL = 30.0
"""Seconds between scrapes for which the table multiplies up."""

_SETTLED = 3.0
"""Seconds after which a Prometheus without targets needs no more memory."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What was scraped and what it cost: MiB of memory, seconds of CPU, samples."""

    partitions: int
    series: float
    page: int  # bytes of a node's page
    memory: float
    cpu: float
    samples: float


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.prometheus_cost", description="Measure what Prometheus pays."
    )
    parser.add_argument("--nodes", type=int, default=20, help="nodes that are scraped (20)")
    parser.add_argument("--partitions", type=int, default=56, help="partitions of a node (56)")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two scrapes (5)")
    parser.add_argument("--seconds", type=float, default=90.0, help="how long it scrapes (90)")
    asked = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory(prefix="slicewatch-bench-") as folder,
        node(asked.partitions) as latest,
        pages(latest) as port,
    ):
        found = measured(Path(folder), port, asked.nodes, asked.partitions, asked.interval, asked.seconds)
    print(table(asked.nodes, asked.partitions, found), end="")
    return 0


def table(nodes: int, partitions: int, cost: Cost) -> str:
    """Return the figures, and what they come to for fleets."""
    each = cost.series / cost.partitions
    kib = cost.memory * 1024 / cost.series
    micro = cost.cpu / cost.samples * 1e6
    scraped = f"{nodes} nodes of {partitions} partitions: {cost.series:,.0f} series, {each:.0f} for each partition"
    paid = f"{kib:.1f} KiB of memory for each series, {micro:.1f} µs of CPU for each of {cost.samples:,.0f} samples"
    lines = [f"{scraped}; {cost.page / 1024:,.0f} KiB a page.", f"{paid}.", ""]
    rows = [_row(count, each, kib, micro) for count in (100, 1_000, 10_000, 100_000)]
    head = ("partitions", "series", f"samples/s at {INTERVAL:g} s", "memory, GiB", "CPU, cores")
    return "\n".join(lines) + aligned(head, rows)


def _row(count: int, each: float, kib: float, micro: float) -> tuple[str, ...]:
    series = count * each
    return (
        f"{count:,}",
        f"{series:,.0f}",
        f"{series / INTERVAL:,.0f}",
        f"{series * kib / (1 << 20):.2f}",
        f"{series / INTERVAL * micro / 1e6:.3f}",
    )


@contextmanager
def node(partitions: int) -> Iterator[list[Tick]]:
    """Run a simulated node until the block ends; the list holds its last tick."""
    made = build(synthetic(partitions), start=time.monotonic())
    sources = Sources(driver=made.driver, kubelet=made.kubelet, pods=made.pods, processes=made.processes)
    collector = Collector("node-0", sources)
    latest = [collector.run_tick()]
    stop = threading.Event()

    def publish(tick: Tick) -> None:
        latest[:] = [tick]

    thread = threading.Thread(target=collector.run, args=(publish, stop), daemon=True)
    thread.start()
    try:
        yield latest
    finally:
        stop.set()
        thread.join(10)
        collector.close()


class _Server(ThreadingHTTPServer):
    """A server whose clients may go away."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the Prometheus has ended in the middle of a scrape."""


@contextmanager
def pages(latest: list[Tick]) -> Iterator[int]:
    """Serve /N, the last tick's page with the GPUs of node N; yields the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = page(latest[0], self.path.strip("/"))
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def page(tick: Tick, number: str) -> bytes:
    """The tick's page, on the GPUs of a node of its own."""
    mark = f"n{number}-".encode()
    return tick.rendered.text.replace(b'="GPU-', b'="GPU-' + mark).replace(b'="MIG-', b'="MIG-' + mark)


def measured(folder: Path, pages_port: int, nodes: int, partitions: int, interval: float, seconds: float) -> Cost:
    """Run a Prometheus on the pages of these nodes, and return what it cost."""
    targets = folder / "targets.json"
    targets.write_text("[]")
    config = {
        "global": {"scrape_interval": f"{round(interval * 1000)}ms", "scrape_timeout": f"{round(interval * 1000)}ms"},
        "scrape_configs": [
            {
                "job_name": "slicewatch",
                "honor_labels": True,
                "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}],
            }
        ],
    }
    (folder / "prometheus.json").write_text(json.dumps(config))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.json'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with running("prometheus", command, port, {}, folder / "log") as server:
        time.sleep(_SETTLED)
        empty, spent, samples = server.memory()[0], server.cpu_seconds(), _appended(server)
        targets.write_text(json.dumps([_target(pages_port, number) for number in range(nodes)]))
        time.sleep(seconds)
        samples = _appended(server) - samples
        cost = Cost(
            partitions=nodes * partitions,
            series=_number(server, "prometheus_tsdb_head_series"),
            page=_page_size(pages_port),
            memory=server.memory()[0] - empty,
            cpu=server.cpu_seconds() - spent,
            samples=samples,
        )
        up = _number(server, "sum(up)")
    if up != nodes:
        raise SystemExit(f"{up:g} of {nodes} nodes were scraped")
    return cost


def _target(port: int, number: int) -> dict[str, object]:
    labels = {"__metrics_path__": f"/{number}", "instance": f"node-{number}"}
    return {"targets": [f"127.0.0.1:{port}"], "labels": labels}


def _page_size(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/0", timeout=10) as answer:
        return len(answer.read())


def _appended(server: Program) -> float:
    """Samples taken in since the start, from the server's own page: it does not scrape itself."""
    text = _get(server, "/metrics").decode()
    lines = (line for line in text.splitlines() if line.startswith("prometheus_tsdb_head_samples_appended_total"))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def _number(server: Program, query: str) -> float:
    if query.startswith("prometheus_"):
        lines = _get(server, "/metrics").decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{query} "))
    found = json.loads(_get(server, f"/api/v1/query?query={quote(query)}"))["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


def _get(server: Program, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=30) as answer:
        return bytes(answer.read())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
