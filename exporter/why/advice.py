"""Why it can happen in this sharing mode, and the command to run next. Pure text.

The commands only look; nothing here changes a cluster. Names are quoted for a shell: they are a tenant's input.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from exporter.model import Reason, Sharing
from exporter.verdict import Cause
from exporter.why.case import Case, Who
from exporter.why.finding import Finding, Mood
from exporter.why.verdict_text import overruns

WHY: Mapping[Sharing, str] = {
    Sharing.EXCLUSIVE: (
        "A whole GPU is given to one container by the scheduler alone: nothing stops another process of the node that sees "
        "its device files. Clocks depend on heat and power."
    ),
    Sharing.MIG: (
        "MIG divides SMs and memory in hardware. Clocks, power and temperature stay the whole GPU's, and whoever "
        "administers the node can change the layout under a running pod."
    ),
    Sharing.TIME_SLICING: (
        "Time-slicing promises a share and nobody enforces it: the processes of all holders take turns on the whole "
        "device, so that who runs more of them can get more turns; memory is not divided at all."
    ),
    Sharing.MPS: (
        "MPS limits each client process and not the pod: a pod of three clients may hold three times its limit. "
        "Kernels run side by side, and no reading divides the SM time among them."
    ),
    Sharing.HAMI: "The limit is kept by a library inside of the tenant's container.",
    Sharing.KAI: "The fraction is the scheduler's bookkeeping: nobody enforces it on the device.",
    Sharing.DRA: "The claim is kept as firmly as the device and the sharing that it names.",
}
"""Why a promise can fail, by sharing mode."""

_SHOWN = 2


def next_steps(case: Case, finding: Finding) -> list[str]:
    """What to run, the most telling first; each a command, with a remark behind `#` where it is not run here."""
    steps: dict[str, str] = {}
    for step in (*_about(case, finding), *(drift.next for drift in case.touched)):
        steps.setdefault(step.partition("   #")[0], step)
    return list(steps.values())


def _about(case: Case, finding: Finding) -> list[str]:
    if finding.mood is Mood.BROKEN:
        return list(_broken(case, finding))
    if finding.mood is Mood.BLIND:
        return list(_blind(case, finding))
    own = f"kubectl -n {_word(case.key.namespace)}"
    if finding.mood is Mood.YOURSELF:
        return [f"{own} top pod {_word(case.key.pod)} --containers   # is it waiting for CPU, data or requests?"]
    return [f"{own} get pod {_word(case.key.pod)} -o wide"]


def _broken(case: Case, finding: Finding) -> Iterator[str]:
    describe = f"kubectl -n {_word(case.key.namespace)} describe pod {_word(case.key.pod)}"
    on_node = f"   # on node {_comment(case.node)}" if case.node else "   # on its node"
    gpu = _word(case.key.gpu)
    match finding.cause:
        case Cause.NEIGHBOUR | Cause.NEIGHBOUR_OVERRUN | Cause.ROGUE_POD:
            pods = list(_takers(case, finding))
            for namespace, pod in pods[:_SHOWN]:
                yield f"kubectl -n {_word(namespace)} describe pod {_word(pod)}"
            if not pods:
                yield f"nvidia-smi -i {gpu} --query-compute-apps=pid,name,used_memory --format=csv{on_node}"
        case Cause.HOST_PROCESS:
            yield f"nvidia-smi -i {gpu} --query-compute-apps=pid,name,used_memory --format=csv{on_node}"
        case Cause.THERMAL | Cause.POWER_CAP | Cause.HW_SLOWDOWN:
            yield f"nvidia-smi -i {gpu} -q -d TEMPERATURE,POWER,PERFORMANCE{on_node}"
        case Cause.MIG_RECONFIGURED | Cause.DEVICE_MISSING | Cause.WRONG_PROFILE:
            yield describe + "   # once deleted, its controller starts it on a device that exists"
            yield f"nvidia-smi -L{on_node}"
        case Cause.DEVICE_LOST | Cause.XID | Cause.ECC:
            yield f"journalctl -k --grep 'NVRM: Xid'{on_node}"
            yield describe
        case Cause.OVERSUBSCRIBED | Cause.UNENFORCED:
            yield f"kubectl get pod -A -o wide --field-selector spec.nodeName={_word(case.node)}"
            yield f"slicewatch doctor{on_node}"
        case _:
            yield describe
            yield f"slicewatch doctor{on_node}"


def _takers(case: Case, finding: Finding) -> Iterator[tuple[str, str]]:
    """Pods to look at: who took most, else strangers, else who holds more memory than promised."""
    spell = case.spells[finding.guarantee]
    if spell.neighbours:
        named = (who for who in spell.neighbours if who[0])  # those that are counted together have no namespace
        yield from sorted(named, key=lambda who: -spell.neighbours[who])
        return
    for user in case.crowd.users:
        stranger = finding.cause is Cause.ROGUE_POD and user.who is Who.STRANGER
        if stranger or (finding.cause is not Cause.ROGUE_POD and user.who is Who.NEIGHBOUR and overruns(user)):
            namespace, _, rest = user.name.partition("/")
            yield namespace, rest.partition(" (")[0]


def _blind(case: Case, finding: Finding) -> Iterator[str]:
    spell = case.spells.get(finding.guarantee)
    reason = Reason.NOT_YET if spell is None or not spell.blind else spell.main_reason
    if reason is Reason.DEMAND_UNKNOWN:
        yield f"kubectl -n {_word(case.key.namespace)} logs {_word(case.key.pod)}   # does it have a queue? only it knows"
    elif reason is Reason.MODEL_NOT_APPLICABLE:
        yield f"kubectl -n {_word(case.key.namespace)} logs {_word(case.key.pod)}   # in this mode only its own latency tells"
    else:
        yield f"slicewatch doctor   # on node {_comment(case.node)}: what can be read there, and what not"


def _word(text: str) -> str:
    return shlex.quote(text)


def _comment(text: str) -> str:
    """A name behind `#`: it may hold anything but the end of the line, which the reader has taken out of it."""
    return text or "(unknown)"
