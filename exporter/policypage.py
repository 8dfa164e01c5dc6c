"""The text of docs/policy.md: what a policy file may say, made from the table that the file is read by."""

from __future__ import annotations

from exporter.policyfile import API_VERSION, KEYS, KIND

EXAMPLE = f"""\
apiVersion: {API_VERSION}
kind: {KIND}
tolerance:
  compute: 0.15
compute:
  window: 30s
xid:
  fatal: {{add: [63], remove: [140]}}
timeSlicing:
  memory: fair
allow:
  processes: {{add: [node-health-check]}}
demand:
  - namespace: ml
    labels: {{app: vllm}}
    port: 8000
    metric: vllm:num_requests_waiting
promises:
  - when: {{namespace: "batch-*", sharing: time-slicing}}
    compute: off
    memory: off
  - when: {{workload: Deployment/llm-chat, resource: nvidia.com/gpu.shared}}
    compute: 40%
    memory: 20GiB
"""
"""A file that uses every kind of entry; the tests load it."""

_INTRODUCTION = f"""\
# The policy file

`slicewatch exporter --policy.file F` reads what a site tolerates, whom it lets run, how its workloads say that work is
waiting, and what the promises are that nobody keeps. Without a file the defaults below hold. The file is strict: an
unknown key, a value out of bounds or an entry that could never apply is refused with file, line and column, all faults at
once, and the exporter does not start (exit status 2).

```yaml
{EXAMPLE}```

`apiVersion: {API_VERSION}` and `kind: {KIND}` must be there; everything else has a default. Durations are Prometheus's
(`500ms`, `1m30s`). Lists that have a default are replaced by a list, and changed by `{{add: […], remove: […]}}`.

## Keys

| key | value | default | meaning |
|---|---|---|---|
"""

_REST = """\

## `demand`: backlog that the workload declares

Whether a tenant of a shared GPU wants more than it gets is inferred, unless it says so itself. An inference server does: its
page counts waiting requests. Each entry names a metric of a pod; while any sample of it is above the threshold, the pod is
backlogged and entitled to its whole promise.

| key | value | default |
|---|---|---|
| `namespace`, `workload` | a pattern or a list of patterns | all |
| `labels` | labels of the pod, all of which must be equal | all |
| `port` | 1 to 65535, must be there | |
| `path` | path of the page | `/metrics` |
| `metric` | name of a sample, must be there | |
| `match` | labels of the sample, all of which must be equal | all |
| `above` | backlogged while a sample is above this number | `0` |

One of `namespace`, `labels` and `workload` must be there. The pod is asked at its own address by plain HTTP, off the tick:
1 second for the whole answer, 1 MiB at most, no redirects, and a target that fails is asked ever more rarely, up to once a
minute. An answer is good for 10 seconds. A page that is late, too large or not understood is an unknown, never "not
backlogged"; then the demand is inferred as for everybody else.

A pod that lies about its backlog gains at most a verdict about its own promise: a signal changes what is judged, never what
is allocated.

## `promises`: overrides

Each entry has `when`, and `compute`, `memory` or both.

| key | value |
|---|---|
| `when.resource`, `when.namespace`, `when.workload` | a pattern or a list of patterns; a workload is `Deployment/name`, or `name` for any kind |
| `when.sharing` | `time-slicing`, `kai`, or a list of them |
| `compute` | `off`, or a share of the parent GPU's SM time: `0.25`, `25%` |
| `memory` | `off`, a size (`20GiB`, `8000MB`), or a part of the attached device (`0.25`, `25%`) |

All keys of a `when` must match. For each dimension the first entry that matches and sets it decides. In patterns `*` stands
for any text and `?` for one character.

Only *declared* promises can be overridden, those that nobody keeps: time slices and KAI fractions. What hardware (MIG), the
MPS daemon, HAMi's hook or the scheduler (a whole GPU) keeps is a fact: an entry that names such a mode is refused, and one
whose patterns happen to match such a partition leaves it alone. An overridden promise stays class `declared`, enforcer
`nobody`, and its source becomes `policy`: wanting a promise does not enforce it. `slicewatch lint` adds the promises up.
"""


def markdown() -> str:
    """Return the text of docs/policy.md."""
    rows = [f"| `{key.name}` | {key.value} | {key.default} | {key.help} |" for key in KEYS]
    return _INTRODUCTION + "\n".join(rows) + "\n" + _REST
