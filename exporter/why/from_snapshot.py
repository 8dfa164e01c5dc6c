"""Cases from an exporter's `/snapshot`: every partition of one node, with counters since each was first seen.

The edge: the document is parsed once into the case file's types. A word that a newer exporter has added is taken for its
kind's most cautious one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from exporter.catalogue import PartitionKey
from exporter.drift import Drift
from exporter.model import (
    Enforcer,
    Missing,
    Promise,
    PromiseClass,
    Promised,
    PromiseSource,
    Reading,
    Reason,
    Relation,
    Sharing,
    Throttle,
)
from exporter.verdict import Cause, Evidence, Guarantee, Neighbour, Outcome
from exporter.why.case import UNTOLD, Case, Health, Spell, User, Who, Window
from exporter.why.crowd import Board, Tenant, gather
from exporter.why.drifts import drifts, touching
from exporter.why.jsontree import Tree, parse, word

K = TypeVar("K")

_STRANGERS = {Relation.ROGUE: Who.STRANGER, Relation.HOST: Who.HOST}


def cases(body: bytes, url: str) -> tuple[Case, ...]:
    """Read one answer of `/snapshot`. Raises SourceError when it is none."""
    document = parse(body, f"{url}/snapshot")
    place = _Place(
        node=document["node"].text(),
        gpus={gpu["uuid"].text(): gpu for gpu in document["gpus"].each()},
        devices={device["uuid"].text(): device for device in document["devices"].each()},
        processes=dict(document["processes"].items()),
        drifts=drifts(document),
    )
    partitions = [(_key(partition), partition) for partition in document["partitions"].each()]
    by_device: dict[str, list[tuple[PartitionKey, Tree]]] = defaultdict(list)
    for key, partition in partitions:
        by_device[key.device].append((key, partition))
    return tuple(_case(key, partition, place, by_device[key.device]) for key, partition in partitions)


@dataclass(frozen=True, slots=True)
class _Place:
    """The node: GPUs, devices and processes of the document by their UUIDs, and its drifts."""

    node: str
    gpus: Mapping[str, Tree]
    devices: Mapping[str, Tree]
    processes: Mapping[str, Tree]
    drifts: Sequence[Drift] | Missing


def _key(partition: Tree) -> PartitionKey:
    return PartitionKey(*(partition[name].text() for name in PartitionKey._fields))


def _case(key: PartitionKey, partition: Tree, place: _Place, here: Sequence[tuple[PartitionKey, Tree]]) -> Case:
    gpu, device = place.gpus.get(key.gpu), place.devices.get(key.device)
    spells = _spells(partition)
    compute = partition["guarantees"].get("compute")
    verdict = compute if compute.value is not None else Tree({}, compute.path)
    age = max((spell.total for spell in spells.values()), default=0.0)
    strangers = list(_strangers(place.processes.get(key.device)))
    tenants = [_tenant(other, tree, place, strangers) for other, tree in here]
    mine = next(tenant for tenant in tenants if tenant.key == key)
    return Case(
        key=key,
        node=place.node,
        gpu_index="" if gpu is None else f"{gpu['index'].number():.0f}",
        device_index="" if device is None else device["index"].text(),
        model="" if gpu is None else gpu["model"].text(),
        attached_profile="" if device is None else device["profile"].text(),
        workload_kind=partition["owner"]["workload_kind"].text(),
        workload=partition["owner"]["workload"].text(),
        resource=partition["resource"].text(),
        sharing=partition["sharing"].word(Sharing, Sharing.EXCLUSIVE),
        slots=int(partition["slots"].number()),
        promised_profile=partition["promised_profile"].text(),
        promise=_promise(partition["promise"]),
        holders=partition["holders"].reading(),
        replicas=partition["replicas"].reading(),
        gone=False,
        spells=spells,
        entitled=verdict.get("entitled").reading(),
        delivered=verdict.get("delivered").reading(),
        used_compute=partition["used_compute"].reading(),
        mean_used=mine.mean,
        used_memory=partition["used_memory_bytes"].reading(),
        obtainable_memory=partition["obtainable_memory_bytes"].reading(),
        evidence=_evidence(verdict),
        window=Window(age),
        health=_health(gpu, device),
        crowd=gather(key, tenants, strangers, _board(gpu, device)),
        drifts=touching(place.drifts, key, place.node),
    )


def _evidence(verdict: Tree) -> Evidence | None:
    said = verdict.get("evidence")
    return None if said.value is None else said.word(Evidence, Evidence.NONE)


def _spells(partition: Tree) -> dict[Guarantee, Spell]:
    counted = dict(partition.get("seconds").get("guarantees").items()) if partition.get("seconds").value else {}
    found: dict[Guarantee, Spell] = {}
    for name, verdict in partition["guarantees"].items():
        if name not in set(Guarantee):
            continue
        account = counted.get(name, Tree({}, verdict.path))
        found[Guarantee(name)] = Spell(
            seconds={outcome: _seconds(account.get("outcomes"), outcome) for outcome in Outcome},
            lost=_added((word(Cause, cause, Cause.UNKNOWN), s) for cause, s in account.get("lost").items()),
            neighbours=_added((_neighbour(who), s) for who, s in account.get("lost_to_neighbour").items()),
            blind=_added((word(Reason, reason, Reason.ERROR), s) for reason, s in account.get("blind").items()),
            now=verdict["outcome"].word(Outcome, Outcome.BLIND),
        )
    return found


def _seconds(outcomes: Tree, outcome: Outcome) -> float:
    if outcomes.value is None:
        return 0.0
    found = outcomes.get(outcome)
    return 0.0 if found.value is None else found.number()


def _added(rows: Iterator[tuple[K, Tree]]) -> dict[K, float]:
    total: dict[K, float] = {}
    for key, seconds in rows:
        if seconds.number() > 0:
            total[key] = total.get(key, 0.0) + seconds.number()
    return total


def _neighbour(who: str) -> Neighbour:
    namespace, _, pod = who.partition("/")
    return namespace, pod


def _promise(promise: Tree) -> Promise:
    return Promise(compute=_promised(promise.get("compute")), memory=_promised(promise.get("memory")))


def _promised(dimension: Tree) -> Promised | None:
    if dimension.value is None:
        return None
    return Promised(
        amount=dimension["amount"].reading(),
        klass=dimension["class"].word(PromiseClass, PromiseClass.DECLARED),
        enforcer=dimension["enforcer"].word(Enforcer, Enforcer.NOBODY),
        source=dimension["source"].word(PromiseSource, PromiseSource.RESOURCE_NAME),
    )


def _health(gpu: Tree | None, device: Tree | None) -> Health:
    if gpu is None:
        return Health()
    use = gpu["use"]
    said = use["throttle"]
    throttle: frozenset[Throttle] | Missing
    if isinstance(said.value, dict):
        throttle = Missing(said["missing"].word(Reason, Reason.ERROR))
    else:
        words = {reason.text() for reason in said.each()}
        throttle = frozenset(Throttle(reason) for reason in words if reason in set(Throttle))
    return Health(
        clock_hertz=use["sm_clock_hertz"].reading(),
        clock_max_hertz=use["sm_clock_max_hertz"].reading(),
        power_watts=use["power_watts"].reading(),
        power_limit_watts=use["power_limit_watts"].reading(),
        temperature_celsius=use["temperature_celsius"].reading(),
        throttle=throttle,
        ecc_uncorrected=UNTOLD if device is None else device["use"]["ecc_uncorrected"].reading(),
    )


def _board(gpu: Tree | None, device: Tree | None) -> Board | None:
    if device is None:
        return None
    use = device["use"]
    share: Reading = 1.0
    if device["kind"].text() == "mig":
        part, whole = device["sm_count"].reading(), UNTOLD if gpu is None else gpu["sm_count"].reading()
        share = UNTOLD if isinstance(part, Missing) or isinstance(whole, Missing) or whole <= 0 else part / whole
    return Board(
        share=share, memory_total=use["memory_total_bytes"].reading(), memory_free=use["memory_free_bytes"].reading()
    )


def _strangers(processes: Tree | None) -> Iterator[User]:
    """Processes on the device of pods that hold no part of it, and of no pod; one user for each pod or command."""
    if processes is None or isinstance(processes.value, dict):
        return
    groups: dict[tuple[Who, str], list[Tree]] = defaultdict(list)
    for consumer in processes.each():
        who = _STRANGERS.get(consumer["relation"].word(Relation, Relation.UNKNOWN))
        if who is not None and consumer["settled"].value is True:
            pod = f"{consumer['namespace'].text()}/{consumer['pod'].text()}"
            name = pod if who is Who.STRANGER else consumer["command"].text()
            groups[who, name].append(consumer["process"])
    for (who, name), members in groups.items():
        yield User(
            who=who,
            name=name,
            compute=_sum([process["sm_share"].reading() for process in members]),
            memory=_sum([process["memory_bytes"].reading() for process in members]),
            processes=float(len(members)),
        )


def _tenant(key: PartitionKey, partition: Tree, place: _Place, strangers: Sequence[User]) -> Tenant:
    spells = _spells(partition)
    promise = _promise(partition["promise"])
    shares = partition.get("seconds").get("share_seconds") if partition.get("seconds").value else Tree({}, "")
    own = partition["processes"]
    now, memory = partition["used_compute"].reading(), partition["used_memory_bytes"].reading()
    if strangers and partition["sharing"].text() in {Sharing.EXCLUSIVE, Sharing.MIG}:
        # An exclusive device's readings are the device's own, strangers included: count its own processes instead.
        sampled, held = _own_processes(key, place)
        now, memory = _first(sampled, now), _first(held, memory)
    return Tenant(
        key=key,
        now=now,
        used_seconds=sum(shares.get(kind).number() for kind in ("delivered", "borrowed") if shares.get(kind).value),
        age=max((spell.total for spell in spells.values()), default=0.0),
        promised=UNTOLD if promise.compute is None else promise.compute.amount,
        promised_memory=UNTOLD if promise.memory is None else promise.memory.amount,
        memory=memory,
        processes=own.reading() if isinstance(own.value, dict) else float(len(list(own.each()))),
    )


def _own_processes(key: PartitionKey, place: _Place) -> tuple[Reading, Reading]:
    found = place.processes.get(key.device)
    if found is None or isinstance(found.value, dict):
        return UNTOLD, UNTOLD
    mine = [c["process"] for c in found.each() if c["holder"].value is not None and _key(c["holder"]) == key]
    return _sum([p["sm_share"].reading() for p in mine]), _sum([p["memory_bytes"].reading() for p in mine])


def _first(one: Reading, other: Reading) -> Reading:
    return other if isinstance(one, Missing) else one


def _sum(readings: Sequence[Reading]) -> Reading:
    known = [reading for reading in readings if not isinstance(reading, Missing)]
    return (
        sum(known)
        if known and len(known) == len(readings)
        else next((reading for reading in readings if isinstance(reading, Missing)), UNTOLD)
    )
