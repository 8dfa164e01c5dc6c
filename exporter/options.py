"""The options of `slicewatch exporter`, one table of them, and their page."""

from __future__ import annotations

from exporter import budget
from exporter.values import SourceKind, dcgm_url, kubernetes, node_name, scenario
from toolkit import values
from toolkit.options import Option, table

LISTEN = Option(
    name="web.listen-address",
    metavar="ADDRESS",
    parse=values.address,
    default="0.0.0.0:9945",
    help="Address to serve on; `:9945` is every interface, IPv4 and IPv6.",
)
WEB_CONFIG = Option(
    name="web.config.file",
    metavar="FILE",
    parse=values.optional_path,
    default="",
    help="TLS and basic authentication, in the exporter-toolkit's format.",
)
MAX_REQUESTS = Option(
    name="web.max-requests",
    metavar="N",
    parse=values.whole_number(1, 10_000),
    default="40",
    help="Requests answered at a time; one more is answered 503. Health checks do not count.",
)
SERIES_LIMIT = Option(
    name="web.series-limit",
    metavar="N",
    parse=values.whole_number(budget.LEAST, 10_000_000),
    default=str(budget.DEFAULT),
    help="Series of a page at the most; what is above it is left out by whole partitions, the youngest first, and counted.",
)
NODE_NAME = Option(
    name="node.name",
    metavar="NAME",
    parse=node_name,
    default="",
    help="This node's name in Kubernetes; when empty, $NODE_NAME, else the host's name.",
)
TICK = Option(
    name="tick",
    metavar="DURATION",
    parse=values.duration_within("100ms", "60s"),
    default="1s",
    help="Time between two readings of the driver, from 100ms to 60s.",
)
SOURCE = Option(
    name="source",
    metavar="KIND",
    parse=values.word_of(SourceKind),
    default="nvml",
    help="Where readings come from: nvml (this node's driver), simulator (a node that does not exist) or replay (a recording).",
)
SCENARIO = Option(
    name="simulator.scenario",
    metavar="NAME",
    parse=scenario,
    default="mig-mixed",
    help="The simulated node: a scenario's name, or the path of a scenario file with a slash in it.",
)
SEED = Option(
    name="simulator.seed",
    metavar="N",
    parse=values.whole_number(0, 2**32 - 1),
    default="1",
    help="Seed of the simulated node; equal seeds make equal nodes.",
)
REPLAY_FILE = Option(
    name="replay.file",
    metavar="FILE",
    parse=values.optional_path,
    default="",
    help="A recording to play back, made by `slicewatch record`; needs source replay.",
)
PROCFS = Option(
    name="path.procfs", metavar="PATH", parse=values.path, default="/proc", help="Where the host's procfs is mounted."
)
PODRESOURCES = Option(
    name="podresources.socket",
    metavar="PATH",
    parse=values.optional_path,
    default="/var/lib/kubelet/pod-resources/kubelet.sock",
    help="The kubelet's PodResources socket; empty switches it off.",
)
KUBERNETES = Option(
    name="kubernetes",
    metavar="auto|off|PATH",
    parse=kubernetes,
    default="auto",
    help="The API server: auto (when this is a pod), off, or a kubeconfig's path with a slash in it.",
)
DCGM_URL = Option(
    name="dcgm.url",
    metavar="URL",
    parse=dcgm_url,
    default="",
    help="A dcgm-exporter's page, for activity that the driver does not tell; empty switches it off.",
)
HAMI = Option(
    name="path.hami",
    metavar="PATH",
    parse=values.optional_path,
    default="/usr/local/vgpu/containers",
    help="Where HAMi's hook keeps the limits of containers; empty switches it off.",
)
MPS = Option(
    name="path.mps",
    metavar="PATH",
    parse=values.optional_path,
    default="/run/nvidia/mps",
    help="Where the device plugin's MPS control daemons keep their pipes; empty switches it off.",
)
DRA = Option(
    name="path.dra-checkpoint",
    metavar="PATH",
    parse=values.optional_path,
    default="/var/lib/kubelet/plugins/gpu.nvidia.com/checkpoint.json",
    help="What NVIDIA's DRA driver has prepared for claims; empty switches it off.",
)
POLICY_FILE = Option(
    name="policy.file",
    metavar="FILE",
    parse=values.optional_path,
    default="",
    help="Tolerances, declared promises and demand signals (docs/policy.md).",
)
CONFIG_FILE = Option(
    name="config.file",
    metavar="FILE",
    parse=values.optional_path,
    default="",
    help="YAML file with any of these options as keys; a flag overrides it.",
)
DEPARTED_KEEP = Option(
    name="departed.keep",
    metavar="DURATION",
    parse=values.duration_within("0", "1h"),
    default="60s",
    help="How long a departed partition's series stay on the page, at most 1h.",
)
LOG_LEVEL = Option(
    name="log.level",
    metavar="LEVEL",
    parse=values.word_of(values.Level),
    default="info",
    help="Least severe line written: debug, info, warn or error.",
)
LOG_FORMAT = Option(
    name="log.format",
    metavar="FORMAT",
    parse=values.word_of(values.LogFormat),
    default="logfmt",
    help="logfmt or json.",
)
ONCE = Option(
    name="once",
    metavar="",
    parse=values.switch,
    default="false",
    help="Write one page to standard output after two ticks, and exit.",
    switch=True,
)

OPTIONS: tuple[Option[object], ...] = (
    LISTEN,
    WEB_CONFIG,
    MAX_REQUESTS,
    SERIES_LIMIT,
    NODE_NAME,
    TICK,
    SOURCE,
    SCENARIO,
    SEED,
    REPLAY_FILE,
    PROCFS,
    PODRESOURCES,
    KUBERNETES,
    DCGM_URL,
    HAMI,
    MPS,
    DRA,
    POLICY_FILE,
    CONFIG_FILE,
    DEPARTED_KEEP,
    LOG_LEVEL,
    LOG_FORMAT,
    ONCE,
)
"""Every option, in the order of the help."""


def markdown() -> str:
    """Return the text of docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "<!-- Generated from exporter/options.py; do not edit. -->",
        "",
        "Each option of `slicewatch exporter` is a flag (`--name value` or `--name=value`) and a key of the YAML file that",
        "`--config.file` names. A flag overrides the file, the file overrides the default. Keys may be written flat",
        "(`web.listen-address: ':9945'`) or nested (`web: {listen-address: ':9945'}`); an unknown key is an error.",
        "Relative paths in the file are relative to the file. Durations are Prometheus's: `500ms`, `1s`, `1m30s`.",
        "",
        *table(OPTIONS),
    ]
    return "\n".join(lines) + "\n"
