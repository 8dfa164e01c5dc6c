"""A drift in a plain sentence, whom it touches, and the command that looks at it.

Pure text, for `doctor`, `why` and `status`. The commands only look; names are quoted for a shell, since they are a tenant's
input, and whoever draws them takes out what a terminal would act on.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.catalogue import PartitionKey
from exporter.drift import Drift


@dataclass(frozen=True, slots=True)
class _Words:
    """A sentence, and a command with `{node}`, `{gpu}`, `{namespace}`, `{pod}`; `remote`: it is run on the node itself."""

    sentence: str
    command: str
    remote: bool = False


_DESCRIBE = "kubectl -n {namespace} describe pod {pod}"
_PODS = "kubectl get pod -A -o wide --field-selector spec.nodeName={node}"
_PROCESSES = "nvidia-smi -i {gpu} --query-compute-apps=pid,name,used_memory --format=csv"

_WORDS: Mapping[str, _Words] = {
    "wrong_profile": _Words(
        "The attached device is smaller than the profile that was promised.", "nvidia-smi -L", remote=True
    ),
    "larger_profile": _Words(
        "The attached device is larger than the promised profile: nobody is worse off, and its name says otherwise.",
        "nvidia-smi -L",
        remote=True,
    ),
    "mig_reconfigured": _Words(
        "The MIG layout was changed under the pod: the instance that it was given is gone.", _DESCRIBE
    ),
    "mig_reconfiguring": _Words(
        "The node's MIG layout is being changed, or the change failed: instances may go under their holders.",
        "kubectl get node {node} -L nvidia.com/mig.config,nvidia.com/mig.config.state",
    ),
    "mig_mode_pending": _Words(
        "The GPU's MIG mode changes with its next reset: what is held on it goes then.",
        "nvidia-smi -i {gpu} --query-gpu=mig.mode.current,mig.mode.pending --format=csv",
        remote=True,
    ),
    "stale_plugin": _Words(
        "The device plugin does not offer what the driver has: it looks once, when it starts.",
        "kubectl describe node {node}",
    ),
    "claim_drift": _Words(
        "The claim is not prepared, or another device was prepared or handed out than was allocated.",
        "kubectl -n {namespace} get resourceclaim -o yaml",
    ),
    "oversubscribed": _Words("More of the device is held, or on record, than there is of it.", _PODS),
    "rogue_process": _Words("A pod that holds nothing of the device runs on it.", _DESCRIBE),
    "host_process": _Words("A process of no pod runs on the device.", _PROCESSES, remote=True),
    "idle_owner": _Words("It has been held for ten minutes without any activity.", _DESCRIBE),
    "terminal_pod": _Words(
        "The pod has ended and the kubelet still lists it: it holds nothing, whatever the list says.", _PODS
    ),
    "overruled_id": _Words(
        "The kubelet's id names another device than the scheduler's record; the record counts.", _DESCRIBE
    ),
    "unenforced": _Words("The limit that was promised is not set, or was switched off.", _DESCRIBE),
    "unguarded": _Words(
        "The GPU's compute mode is not EXCLUSIVE_PROCESS: a process that is no client of MPS can take it, without a limit.",
        "nvidia-smi -i {gpu} --query-gpu=compute_mode --format=csv",
        remote=True,
    ),
    "other_container": _Words(
        "A container of the pod that was not given the device uses it; its use counts as the pod's.", _DESCRIBE
    ),
    "several_slots": _Words(
        "One container holds several slots of one device, which gives it no more compute than one does.", _DESCRIBE
    ),
    "device_lost": _Words(
        "The driver answers that the GPU is lost: it has fallen off the bus or needs a reset.",
        "journalctl -k --grep 'NVRM: Xid'",
        remote=True,
    ),
}

NAMES = frozenset(_WORDS)
"""Every drift that has words."""

_OTHER = _Words("A drift that this version has no words for.", _PODS)


def sentence(drift: Drift) -> str:
    """Say what a drift is."""
    return _WORDS.get(drift.name, _OTHER).sentence


def step(drift: Drift, node: str, gpu: str) -> str:
    """Return the command that looks at a drift; `gpu` is the UUID of the GPU that it is on, empty for none."""
    words = _WORDS.get(drift.name, _OTHER)
    namespace, pod = _pod(drift)
    if ("{pod}" in words.command and not pod) or ("{namespace}" in words.command and not namespace):
        words = _OTHER
    command = words.command.format(
        node=shlex.quote(node), gpu=shlex.quote(gpu), namespace=shlex.quote(namespace), pod=shlex.quote(pod)
    )
    return f"{command}   # on node {node}" if words.remote and node else command


def _pod(drift: Drift) -> tuple[str, str]:
    """The pod to look at: the holder, else the first of those that are named."""
    if drift.holder is not None:
        return drift.holder.namespace, drift.holder.pod
    namespace, slash, rest = (drift.who[0] if drift.who else "").partition("/")
    return (namespace, rest.partition("/")[0]) if slash else ("", "")


def whose(drift: Drift) -> str:
    """Name the holder, or those that are named, and say how many more there are."""
    if drift.holder is not None:
        return f"{drift.holder.namespace}/{drift.holder.pod} ({drift.holder.container})"
    more = drift.count - len(drift.who)
    return ", ".join(drift.who) + (f" and {more} more" if drift.who and more > 0 else "")


_NEIGHBOURS = frozenset({"unenforced"})
"""Drifts of one holder that are a risk to all others of its device."""


def touches(drift: Drift, key: PartitionKey) -> bool:
    """Whether a drift is about this partition, its device, its GPU or its node, or lets a neighbour take what is its."""
    if drift.holder is not None:
        return drift.holder == key or (drift.name in _NEIGHBOURS and drift.where == key.device)
    if drift.where:
        return drift.where in {key.device, key.gpu}
    mine = f"{key.namespace}/{key.pod}"
    return not drift.who or any(name in {key.device, mine} or name.startswith(f"{mine}/") for name in drift.who)
