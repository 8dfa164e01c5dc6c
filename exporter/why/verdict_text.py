"""The answer in one sentence, and the other sentences that a case needs. Pure text from the case file.

Every number in a sentence is one of the case's; a cause has one sentence, in the present while it lasts and in the past
when it is over.
"""

from __future__ import annotations

from collections.abc import Mapping

from exporter.explain import gibibytes, percent
from exporter.model import Missing, Reading, Reason, Sharing
from exporter.verdict import Cause, Guarantee, Outcome
from exporter.why.case import Case, Spell, User, Who
from exporter.why.figures import listed, point_places
from exporter.why.finding import Finding, Mood, promised_compute

_CLEARLY_LESS = 0.95
_NAMES = 3


def sentence(case: Case, finding: Finding) -> str:
    """The answer."""
    match finding.mood:
        case Mood.BROKEN:
            return broken_sentence(case, finding.guarantee)
        case Mood.YOURSELF:
            return _yourself(case)
        case Mood.KEPT:
            return _kept(case, finding)
        case Mood.BLIND:
            return _blind(case, finding)


def place(case: Case) -> str:
    """The GPU as people call it: `GPU 0`, else its UUID."""
    return f"GPU {case.gpu_index}" if case.gpu_index else case.key.gpu


def broken_sentence(case: Case, guarantee: Guarantee) -> str:
    """What is or was the matter with one guarantee that is or was broken."""
    spell = case.spells[guarantee]
    lasts = spell.now is Outcome.BROKEN
    template = (
        _SENTENCES.get((guarantee, spell.main_cause)) or _SENTENCES.get((guarantee, None)) or "{guarantee} {be} broken."
    )
    text = template.format(
        guarantee=guarantee,
        be="is" if lasts else "was",
        are="are" if lasts else "were",
        runs="runs" if lasts else "ran",
        holds="holds" if lasts else "held",
        hold="hold" if lasts else "held",
        cannot="cannot" if lasts else "could not",
        slows="slows" if lasts else "slowed",
        gpu=place(case),
        device=case.key.device,
        profile=case.promised_profile or "device",
        attached=case.attached_profile or "smaller one",
        xids=listed([f"XID {xid}" for xid in _xids(case)]) if _xids(case) else "a fatal XID",
        got=_got(case, spell),
        part=f"you got {percent(spell.got if spell.got > _CLEARLY_LESS else round(spell.got, 2))} of your share while you wanted it",
        memory=_memory(case),
        takers=_takers(spell),
        strangers=_strangers(case, spell),
        overruns=_overruns(case),
        slots=_slots(case),
    )
    return text + _since_then(case, spell)


_SENTENCES: Mapping[tuple[Guarantee, Cause | None], str] = {
    (Guarantee.AVAILABILITY, Cause.DEVICE_LOST): ("Your GPU {be} lost: {gpu} has fallen off the bus or needs a reset."),
    (Guarantee.AVAILABILITY, Cause.DEVICE_MISSING): (
        "Your device {be} missing: the kubelet says that you hold {device}, and the driver does not list it."
    ),
    (Guarantee.AVAILABILITY, Cause.MIG_RECONFIGURED): (
        "Your MIG instance {be} gone: the MIG layout of {gpu} was changed under you, and your {profile} no longer exists."
    ),
    (Guarantee.AVAILABILITY, Cause.XID): "Your GPU had a fatal error: the driver reported {xids} for {gpu}.",
    (Guarantee.AVAILABILITY, Cause.ECC): "Your GPU had a memory error that it could not correct ({gpu}).",
    (Guarantee.COMPUTE, None): "You were short-changed: {got}.",
    (Guarantee.COMPUTE, Cause.THERMAL): "The GPU {be} too hot: its clocks {are} held down, and {part}.",
    (Guarantee.COMPUTE, Cause.POWER_CAP): "The GPU {be} held down by its power limit: {part}.",
    (Guarantee.COMPUTE, Cause.HW_SLOWDOWN): "The hardware {slows} the GPU's clocks down: {part}.",
    (Guarantee.COMPUTE, Cause.WRONG_PROFILE): (
        "Your device {be} smaller than promised ({attached} instead of {profile}): {part}."
    ),
    (Guarantee.MEMORY, None): "You {cannot} have the memory that you were promised: {memory}.{takers}",
    (Guarantee.ISOLATION, Cause.ROGUE_POD): "You {are} not alone on your device: {gpu} also {runs} {strangers}.",
    (Guarantee.ISOLATION, Cause.HOST_PROCESS): "You {are} not alone on your device: {gpu} also {runs} {strangers}.",
    (Guarantee.ISOLATION, Cause.NEIGHBOUR_OVERRUN): "A neighbour {holds} more memory than it was promised{overruns}.",
    (Guarantee.CONFORMANCE, Cause.OVERSUBSCRIBED): "{gpu} {be} given out too often: {slots}.",
    (Guarantee.CONFORMANCE, Cause.WRONG_PROFILE): (
        "You {hold} another device than the promised one: {profile} was promised, {attached} is attached."
    ),
    (Guarantee.CONFORMANCE, Cause.UNENFORCED): "The limit that was promised {be} not set.",
}


def _since_then(case: Case, spell: Spell) -> str:
    if case.gone:
        return " The pod no longer holds it."
    match spell.now:
        case Outcome.KEPT | Outcome.IDLE:
            return " It is over now."
        case Outcome.BLIND:
            return " Whether it still is cannot be told."
        case _:
            return ""


def _got(case: Case, spell: Spell) -> str:
    """Promised and got as shares of the GPU; by the entitlement where that is known and less than the promise."""
    promised, entitled = promised_compute(case), case.entitled
    if isinstance(promised, Missing):
        return f"you got {percent(spell.got)} of your share while you wanted it"
    whole = f"{percent(promised)} of {place(case)}'s SM time"
    if isinstance(entitled, Missing) or entitled >= _CLEARLY_LESS * promised:
        return f"promised {whole}, got {percent(_less(promised, spell))} while you wanted it"
    return (
        f"promised {whole}, of which what you do entitles you to {percent(round(entitled, 3))}, "
        f"and you got {percent(_less(round(entitled, 3), spell))} while you wanted it"
    )


def _less(share: float, spell: Spell) -> float:
    """The share less the points that the table of losses adds up to, so that sentence and table agree."""
    places = point_places(share * (1 - spell.got))
    return round(share, 3) - round(share * (1 - spell.got), 2 + places)


def _roughly(share: float) -> str:
    """A measured share: driver samples are whole per cents, so more digits would be pretended."""
    return "less than 1%" if 0 < share < 0.01 else f"{share:.0%}"  # noqa: PLR2004  # one per cent


def _memory(case: Case) -> str:
    promise = case.promise.memory
    promised: Reading = Missing(Reason.UNSUPPORTED) if promise is None else promise.amount
    had = case.obtainable_memory
    if isinstance(promised, Missing):
        return "its size is not known"
    if isinstance(had, Missing):
        return f"{gibibytes(promised)} were promised"
    return f"{gibibytes(promised)} were promised, and {gibibytes(had)} can be had"


def _takers(spell: Spell) -> str:
    ranked = sorted(spell.neighbours, key=lambda who: -spell.neighbours[who])[:_NAMES]
    names = ["/".join(who) for who in ranked]
    if not names or spell.main_cause is not Cause.NEIGHBOUR:
        return ""
    return f" Most of the rest is held by {listed(names)}."


def _strangers(case: Case, spell: Spell) -> str:
    """Who runs there without holding anything, and how much of the device they take together."""
    found = [user for user in case.crowd.users if user.who in _STRANGERS]
    if not found:
        return _STRANGERS[Who.HOST if spell.main_cause is Cause.HOST_PROCESS else Who.STRANGER]
    names = listed([f"{user.name} ({_STRANGERS[user.who]})" for user in found[:_NAMES]])
    more = f" and {len(found) - _NAMES} more" if len(found) > _NAMES else ""
    shares = [user.compute for user in found if not isinstance(user.compute, Missing)]
    taken = f", with {_roughly(sum(shares))} of its SM time now" if len(shares) == len(found) else ""
    return f"{names}{more}{taken}"


_STRANGERS = {Who.STRANGER: "a pod that holds no part of it", Who.HOST: "a process of no pod"}


def _overruns(case: Case) -> str:
    """Neighbours that hold more memory than they were promised, with both numbers."""
    found = [text for user in case.crowd.users if user.who is Who.NEIGHBOUR and (text := _overrun(user))]
    return f": {listed(found[:_NAMES])}" if found else ""


def overruns(user: User) -> bool:
    """Whether somebody holds more memory than it was promised."""
    return bool(_overrun(user))


def _overrun(user: User) -> str:
    held, promised = user.memory, user.promised_memory
    if isinstance(held, Missing) or isinstance(promised, Missing) or held <= promised:
        return ""
    return f"{user.name} holds {gibibytes(held)} and was promised {gibibytes(promised)}"


def overrun_of_yours(case: Case) -> str:
    """What the neighbours would say: that this partition holds more memory than it was promised; else empty."""
    me = next((user for user in case.crowd.users if user.who is Who.YOU), None)
    if me is None or case.sharing in {Sharing.EXCLUSIVE, Sharing.MIG}:
        return ""
    held, promised = me.memory, me.promised_memory
    if isinstance(held, Missing) or isinstance(promised, Missing) or held <= promised:
        return ""
    return f"You hold {gibibytes(held)} of memory and were promised {gibibytes(promised)}: what is above is your neighbours'."


def _slots(case: Case) -> str:
    if isinstance(case.holders, Missing):
        return "more slots are held than there are"
    offered = "fewer" if isinstance(case.replicas, Missing) else f"{case.replicas:.0f}"
    return f"{case.holders:.0f} slots are held, and {offered} are offered"


def _xids(case: Case) -> list[str]:
    return [] if isinstance(case.health.xids, Missing) else sorted(x for x, n in case.health.xids.items() if n > 0)


def _yourself(case: Case) -> str:
    promised, used = promised_compute(case), case.mean_used
    if isinstance(promised, Missing) or isinstance(used, Missing):
        return "It is you: your full share was there to be had."
    share = f"{percent(promised)} of {place(case)}'s SM time"
    used_words = _roughly(used)
    if case.sharing in {Sharing.EXCLUSIVE, Sharing.MIG}:
        return f"Nobody takes it from you, it is you: {share} was yours alone, and you used {used_words}."
    return f"It is not your neighbours, it is you: your full {share} was there to be had, and you used {used_words}."


def _kept(case: Case, finding: Finding) -> str:
    promised, used = promised_compute(case), case.mean_used
    if finding.guarantee is not Guarantee.COMPUTE or isinstance(promised, Missing):
        return "Everything that you were promised and that can be judged is kept."
    if isinstance(used, Missing):
        return f"You got what you were promised: {percent(promised)} of {place(case)}'s SM time."
    return (
        f"You got what you were promised: {percent(promised)} of {place(case)}'s SM time, and you used "
        f"{_roughly(used)}. If that is too slow, you need a larger share."
    )


def _blind(case: Case, finding: Finding) -> str:
    spell = case.spells.get(finding.guarantee)
    reason = Reason.NOT_YET if spell is None or not spell.blind else spell.main_reason
    why = REASONS[reason]
    if finding.guarantee is Guarantee.COMPUTE:
        others = "nothing else that was promised is broken"
        return f"Cannot be told: whether you got your share of GPU time is not known, because {why}; {others}."
    return f"Cannot be told: {why}."


REASONS: Mapping[Reason, str] = {
    Reason.UNSUPPORTED: "this GPU, driver or sharing mode does not show it",
    Reason.PERMISSION: "the exporter may not read it",
    Reason.TIMEOUT: "the driver did not answer in time",
    Reason.STALE: "samples were too old, or ticks were missed",
    Reason.SOURCE_STALE: "the kubelet has not answered for too long",
    Reason.NOT_YET: "nothing has been observed yet",
    Reason.AMBIGUOUS: "two sources differed, which may have been a race between them",
    Reason.CONTRADICTION: "readings contradicted each other",
    Reason.DEVICE_LOST: "the device is not there",
    Reason.HOST_PID: "the exporter sees pids of another namespace (it needs hostPID: true)",
    Reason.NOT_CONFIGURED: "the source that would tell is switched off",
    Reason.DEMAND_UNKNOWN: "no evidence says whether you wanted more than you had",
    Reason.MODEL_NOT_APPLICABLE: "in this mode kernels of several tenants run side by side, and no reading divides the time",
    Reason.ERROR: "a source failed",
}
"""Why something cannot be told, as the rest of a sentence that begins with `because`."""
