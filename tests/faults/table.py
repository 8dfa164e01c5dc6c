"""Every fault that was tried, as data: what is still served, what is blind and why, what is never lost, what proves it.

`docs/reliability.md` is made of this table; so are the tests of its live rows, in `test_live.py`. A row whose proof lies
elsewhere names the tests; that they exist is a test too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Part(StrEnum):
    """What fails."""

    DRIVER = "driver"
    KUBELET = "kubelet"
    API_SERVER = "API server"
    PROCFS = "procfs"
    HAMI = "HAMi's regions"
    MPS = "MPS control daemon"
    DEMAND = "declared demand"
    SCRAPERS = "scrapers"
    CLOCK = "clock"
    PROCESS = "exporter process"
    CHURN = "tenants that churn"
    PROMETHEUS = "Prometheus, for `slo run`"
    EXPORTERS = "exporters, for `slo run`"
    ALERTMANAGER = "Alertmanager"
    DISK = "disk of `slo run`"
    EVALUATOR = "`slo run` process"


class Group(StrEnum):
    """Families of a page that stand or fall together."""

    HOLDERS = "who holds what"
    PROMISES = "what was promised"
    INVENTORY = "the inventory"
    READINGS = "the driver's readings"
    USE = "memory used by partitions"
    PROCESSES = "processes of partitions"


FAMILIES: Mapping[Group, tuple[str, ...]] = {
    Group.HOLDERS: ("gpu_partition_info",),
    Group.PROMISES: ("gpu_partition_promise_info", "gpu_partition_promised_compute_ratio"),
    Group.INVENTORY: ("gpu_device_info",),
    Group.READINGS: ("gpu_device_memory_used_bytes", "gpu_device_power_watts"),
    Group.USE: ("gpu_partition_used_memory_bytes",),
    Group.PROCESSES: ("gpu_partition_processes",),
}

ALL = ("availability", "compute", "conformance", "isolation", "memory")
EVERYWHERE = ("mig", "whole", "shared")
"""The node's three kinds of partition; of the shared ones no memory is promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blind:
    """Guarantees that cannot be told while the fault lasts, the reason, and the kinds of partition that it concerns."""

    reason: str
    guarantees: tuple[str, ...] = ALL
    kinds: tuple[str, ...] = EVERYWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A row that is played on the node in this process; all of it is checked on every page.

    While the fault lasts `down` are the sources that are down, `gone` the groups of families that are not complete,
    `blind` what cannot be told, `broken` the guarantees that are rightly called broken. `after` are the seconds that the
    fault lasts before this holds, `recovers` the seconds in which all is as before.
    """

    down: frozenset[str] = frozenset()
    gone: frozenset[Group] = frozenset()
    blind: tuple[Blind, ...] = ()
    broken: tuple[Blind, ...] = ()
    after: int = 10
    recovers: int = 8


class Proof(NamedTuple):
    """A test elsewhere: its file below `tests/`, without `.py`, and its name; all of a file when the name is empty."""

    file: str
    test: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fault. Texts are for people; what a live row checks is in `live`, and its texts are made of that."""

    part: Part
    fault: str
    live: Live | None = None
    served: str = ""
    blind: str = ""
    kept: str = ""  # what is never lost
    proof: tuple[Proof, ...] = ()  # beside its own, where it is live


HELD = frozenset({Group.READINGS, Group.USE, Group.PROCESSES})
"""What a driver that is down takes with it."""

_SHARED = ("shared",)
_NO_DRIVER = frozenset({"nvml", "gpm"})
_NO_PROCESSES = (
    Blind(reason="host_pid", guarantees=("isolation",)),
    Blind(reason="host_pid", guarantees=("compute",), kinds=_SHARED),
)

LIVE = (
    Row(
        part=Part.DRIVER,
        fault="a call hangs",
        live=Live(down=_NO_DRIVER, gone=HELD, blind=(Blind(reason="timeout"),)),
        proof=(
            Proof(
                "e2e/test_driver_trouble",
                "test_a_driver_that_hangs_goes_down_alone_and_its_partitions_are_blind_until_it_is_back",
            ),
        ),
    ),
    Row(
        part=Part.DRIVER,
        fault="a read is slower than its deadline",
        live=Live(down=_NO_DRIVER, gone=HELD, blind=(Blind(reason="timeout"),), recovers=90),
        proof=(
            Proof(
                "e2e/test_inside_the_driver",
                "test_ticks_that_do_not_wait_for_a_slow_driver_never_send_a_second_thread_in",
            ),
        ),
    ),
    Row(
        part=Part.DRIVER,
        fault="one call fails on every device",
        live=Live(gone=frozenset({Group.READINGS, Group.USE}), blind=(Blind(reason="error", guarantees=("memory",)),)),
    ),
    Row(
        part=Part.DRIVER,
        fault="the process lists are refused",
        live=Live(
            gone=frozenset({Group.USE, Group.PROCESSES}),
            blind=(
                Blind(reason="permission", guarantees=("isolation",)),
                Blind(reason="permission", guarantees=("compute",), kinds=_SHARED),
            ),
        ),
    ),
    Row(
        part=Part.DRIVER,
        fault="absurd numbers",
        live=Live(
            blind=(
                Blind(reason="contradiction", guarantees=("compute", "isolation", "memory"), kinds=("whole",)),
                Blind(reason="contradiction", guarantees=("compute", "isolation"), kinds=_SHARED),
            ),
        ),
        proof=(Proof("judge/test_properties", ""),),
    ),
    Row(
        part=Part.DRIVER,
        fault="a GPU falls off the bus",
        live=Live(
            down=frozenset({"gpm"}),
            gone=HELD,
            blind=(
                Blind(
                    reason="device_lost", guarantees=("compute", "conformance", "isolation", "memory"), kinds=("mig",)
                ),
            ),
            broken=(Blind(reason="device_lost", guarantees=("availability",), kinds=("mig",)),),
        ),
        proof=(Proof("e2e/test_driver_trouble", "test_a_lost_gpu_breaks_the_availability_of_its_own_partitions_only"),),
    ),
    Row(
        part=Part.DRIVER,
        fault="unloaded, and loaded again",
        live=Live(down=_NO_DRIVER, gone=HELD, blind=(Blind(reason="error"),)),
        proof=(
            Proof(
                "e2e/test_inside_the_driver",
                "test_a_driver_unloaded_under_the_collector_is_given_back_and_opened_again",
            ),
        ),
    ),
    Row(part=Part.KUBELET, fault="the socket is gone", live=Live(down=frozenset({"podresources"}))),
    Row(part=Part.KUBELET, fault="it takes calls and does not answer", live=Live(down=frozenset({"podresources"}))),
    Row(part=Part.KUBELET, fault="it refuses calls", live=Live(down=frozenset({"podresources"}))),
    Row(part=Part.KUBELET, fault="something else listens on its socket", live=Live(down=frozenset({"podresources"}))),
    Row(
        part=Part.KUBELET,
        fault="silent for longer than its answer is good for",
        live=Live(down=frozenset({"podresources"}), blind=(Blind(reason="source_stale"),), after=66),
    ),
    Row(part=Part.API_SERVER, fault="gone and back", live=Live()),
    Row(part=Part.API_SERVER, fault="gone, and back without its history", live=Live()),
    Row(part=Part.API_SERVER, fault="garbage in the watch, then a proxy's errors", live=Live()),
    Row(
        part=Part.API_SERVER,
        fault="silent for longer than its watch is believed",
        live=Live(
            down=frozenset({"kubernetes"}),
            gone=frozenset({Group.USE, Group.PROCESSES}),
            blind=(
                Blind(reason="ambiguous", guarantees=("isolation",)),
                Blind(reason="ambiguous", guarantees=("compute",), kinds=_SHARED),
            ),
            after=90,
            recovers=25,
        ),
    ),
    Row(
        part=Part.PROCFS,
        fault="the mount is gone",
        live=Live(
            down=frozenset({"cgroup"}),
            gone=frozenset({Group.USE, Group.PROCESSES}),
            blind=(
                Blind(reason="error", guarantees=("isolation",)),
                Blind(reason="error", guarantees=("compute",), kinds=_SHARED),
            ),
        ),
    ),
    Row(
        part=Part.PROCFS,
        fault="files that are no procfs",
        live=Live(gone=frozenset({Group.USE, Group.PROCESSES}), blind=_NO_PROCESSES),
    ),
    Row(
        part=Part.PROCFS,
        fault="another pid namespace",
        live=Live(gone=frozenset({Group.USE, Group.PROCESSES}), blind=_NO_PROCESSES),
    ),
    Row(part=Part.CLOCK, fault="the wall clock jumps an hour ahead", live=Live()),
    Row(part=Part.CLOCK, fault="the wall clock jumps an hour back", live=Live()),
    Row(
        part=Part.CLOCK,
        fault="it jumps back, and the driver still has samples from before",
        live=Live(blind=(Blind(reason="stale", guarantees=("compute",), kinds=_SHARED),)),
    ),
)


ELSEWHERE = (
    Row(
        part=Part.KUBELET,
        fault="an answer of 64 MiB",
        served="everything, from its last answer",
        blind="nothing within 60 s, then all, `source_stale`",
        kept="memory: it is refused at 16 MiB, before it is kept",
        proof=(
            Proof("faults/test_process", "test_a_kubelet_that_answers_with_64_mebibytes_is_refused_in_bounded_memory"),
        ),
    ),
    Row(
        part=Part.API_SERVER,
        fault="a list of 100,000 pods",
        served="everything, from the pods known before",
        blind="nothing, until the watch is not believed any more",
        kept="memory: a list ends at 5,000 pods or 32 MiB",
        proof=(
            Proof(
                "faults/test_process",
                "test_an_api_server_that_lists_a_hundred_thousand_pods_is_refused_in_bounded_memory",
            ),
        ),
    ),
    Row(
        part=Part.PROCFS,
        fault="100,000 processes on a GPU",
        served="everything; the tick takes longer",
        blind="what hangs on the driver's processes on that GPU",
        kept="the number of series: no process has one",
        proof=(
            Proof(
                "faults/test_process",
                "test_a_gpu_with_a_hundred_thousand_processes_adds_no_series_and_the_page_stays_up",
            ),
        ),
    ),
    Row(
        part=Part.SCRAPERS,
        fault="thousands that never finish asking",
        served="the page, health checks",
        blind="nothing",
        kept="a place for whoever asks: the connection that has asked for nothing for longest makes room",
        proof=(Proof("faults/test_process", "test_scrapers_that_never_finish_asking_keep_nobody_waiting"),),
    ),
    Row(
        part=Part.SCRAPERS,
        fault="1,000 at once",
        served="40 at a time, the others are told to come again (503)",
        blind="nothing",
        kept="threads and memory: both are bounded",
        proof=(
            Proof(
                "faults/test_process",
                "test_a_thousand_scrapers_at_once_are_answered_or_turned_away_and_leave_no_thread_behind",
            ),
        ),
    ),
    Row(
        part=Part.PROCESS,
        fault="no file descriptor left",
        served="connections that are there",
        blind="what hangs on files that cannot be opened: processes",
        kept="counters",
        proof=(
            Proof(
                "faults/test_process",
                "test_without_a_descriptor_left_a_kept_connection_is_served_and_the_rest_comes_back",
            ),
        ),
    ),
    Row(
        part=Part.PROCESS,
        fault="kill -9 at random moments",
        served="nothing until it is started again",
        blind="the time in which it was away is nobody's: no second is made up",
        kept="nothing on disk; counters begin at zero, as Prometheus expects",
        proof=(Proof("faults/test_process", "test_killed_at_any_moment_it_starts_again_at_zero_and_is_whole"),),
    ),
    Row(
        part=Part.PROCFS,
        fault="a fork bomb on no GPU",
        served="everything",
        blind="nothing",
        kept="the cost of a tick: only pids that the driver names are looked at",
        proof=(
            Proof("faults/test_churn", "test_processes_that_are_on_no_gpu_are_never_looked_at_however_many_there_are"),
        ),
    ),
    Row(
        part=Part.CHURN,
        fault="500 pods a minute, MIG cut anew",
        served="everything",
        blind="what a source has not confirmed yet, `ambiguous`",
        kept="series are those of now and of the last minute; all go with their pods",
        proof=(
            Proof(
                "faults/test_churn",
                "test_five_hundred_pods_a_minute_and_mig_cut_anew_leave_no_more_than_those_of_the_last_minute",
            ),
            Proof("nvml/test_driver", "test_a_year_of_changes_leaves_nothing_behind"),
        ),
    ),
    Row(
        part=Part.ALERTMANAGER,
        fault="away for an hour",
        served="the other peers, in time",
        blind="nothing",
        kept="each alert is told once, with its own beginning; what is long over is not told late",
        proof=(
            Proof(
                "faults/test_slo_peers",
                "test_an_alertmanager_that_was_away_for_an_hour_hears_once_of_what_fires_and_nothing_of_what_is_long_over",
            ),
        ),
    ),
    Row(
        part=Part.ALERTMANAGER,
        fault="slow, silent, dripping, refusing",
        served="the other peers, in time",
        blind="nothing",
        kept="alerts: a peer that comes back hears the newest state",
        proof=(
            Proof("slo/alertmanager/test_sender", "test_a_slow_and_a_dead_peer_delay_nobody_else"),
            Proof("slo/alertmanager/test_line", "test_every_answer_has_its_meaning"),
            Proof("slo/alertmanager/test_sender", "test_a_peer_that_comes_back_hears_the_newest_only"),
        ),
    ),
    Row(
        part=Part.ALERTMANAGER,
        fault="started again without its memory",
        served="everything",
        blind="nothing",
        kept="what fires: it is told again within a minute",
        proof=(Proof("slo/alertmanager/test_real", "test_a_peer_that_is_started_again_is_told_what_fires"),),
    ),
    Row(
        part=Part.PROMETHEUS,
        fault="garbage in every form",
        served="its page; what fired before is kept alive",
        blind="the minutes: unknown, never good",
        kept="no alert ends and none begins by it",
        proof=(
            Proof("faults/test_slo_peers", "test_a_prometheus_that_says_nonsense_ends_no_alert_and_starts_none"),
            Proof("slo/prometheus/test_bad_servers"),
        ),
    ),
    Row(
        part=Part.PROMETHEUS,
        fault="gone, and back",
        served="its page; what fired before is kept alive",
        blind="nothing, when it is back within an hour: minutes are made up for",
        kept="alerts; the watchdog stops, so that somebody notices",
        proof=(
            Proof("slo/run/test_loop", "test_while_nobody_answers_nothing_ends_and_what_fires_is_kept_alive"),
            Proof("slo/run/test_loop", "test_minutes_that_were_missed_are_made_up_for_in_order"),
        ),
    ),
    Row(
        part=Part.PROMETHEUS,
        fault="silent, or a byte at a time",
        served="as above",
        blind="as above",
        kept="the deadline is for the whole answer",
        proof=(
            Proof("slo/prometheus/test_bad_servers", "test_silence_ends_with_the_deadline"),
            Proof("slo/prometheus/test_bad_servers", "test_an_answer_that_drips_ends_with_the_deadline"),
        ),
    ),
    Row(
        part=Part.EXPORTERS,
        fault="one hangs, lies or is gone",
        served="the minutes of all others",
        blind="its own minutes: unknown, never good",
        kept="nobody else's minute",
        proof=(Proof("slo/embedded/test_embedded", "test_one_that_hangs_or_lies_costs_nobody_elses_minute"),),
    ),
    Row(
        part=Part.DISK,
        fault="full, or gone, for the history",
        served="evaluation and pages go on; `slicewatch_slo_target_up` of the folder is 0",
        blind="after a restart, the minutes that were not kept",
        kept="what was kept before is whole",
        proof=(
            Proof("faults/test_slo_disk", "test_minutes_that_cannot_be_kept_are_judged_all_the_same_and_it_is_said"),
            Proof("slo/embedded/test_embedded", "test_a_full_disk_is_told_and_damages_nothing"),
        ),
    ),
    Row(
        part=Part.DISK,
        fault="a damaged file of the history",
        served="everything",
        blind="the minutes of that file",
        kept="the rest of the hour",
        proof=(
            Proof(
                "faults/test_slo_disk",
                "test_a_damaged_minute_costs_its_hour_nothing_else_when_minutes_are_put_together",
            ),
            Proof("slo/embedded/test_embedded", "test_a_damaged_file_is_put_aside_and_the_rest_is_read"),
        ),
    ),
    Row(
        part=Part.DISK,
        fault="full, for the journal",
        served="pages go on from memory; `slicewatch_slo_journal_up` is 0",
        blind="nothing",
        kept="alerts, unless it is killed before there is room again",
        proof=(
            Proof("slo/alertmanager/test_sender", "test_a_full_disk_is_reported_and_stops_no_page"),
            Proof(
                "slo/alertmanager/test_journal",
                "test_a_full_disk_leaves_the_alerts_in_memory_and_says_so_until_there_is_room",
            ),
        ),
    ),
    Row(
        part=Part.DISK,
        fault="a damaged journal",
        served="everything",
        blind="nothing",
        kept="the damaged file: it is put aside",
        proof=(Proof("slo/alertmanager/test_journal", "test_a_damaged_file_is_put_aside_and_a_new_one_begun"),),
    ),
    Row(
        part=Part.DISK,
        fault="read-only when it is started",
        served="nothing: it ends with status 2 and one line",
        blind="",
        kept="nothing is begun that cannot be remembered",
        proof=(Proof("slo/alertmanager/test_journal", "test_a_journal_that_cannot_be_is_a_clear_error"),),
    ),
    Row(
        part=Part.EVALUATOR,
        fault="kill -9 at random moments of an incident",
        served="nothing until it is started again",
        blind="nothing",
        kept="one page and one end; history that was kept",
        proof=(
            Proof(
                "slo/alertmanager/test_killed",
                "test_an_incident_in_which_the_checker_is_killed_again_and_again_is_one_page_and_one_end",
            ),
            Proof("slo/embedded/test_embedded", "test_a_kill_at_any_moment_loses_nothing_that_was_kept"),
        ),
    ),
    Row(
        part=Part.EVALUATOR,
        fault="a defect of ours in a minute",
        served="its page; what fired before is kept alive",
        blind="that minute",
        kept="the loop: it goes on with the next one",
        proof=(
            Proof("faults/test_slo_disk", "test_a_defect_in_a_minute_ends_neither_the_loop_nor_anybodys_page"),
            Proof("faults/test_slo_disk", "test_a_defect_in_what_is_published_does_not_end_the_loop"),
        ),
    ),
    Row(
        part=Part.CLOCK,
        fault="the wall clock jumps under `slo run`",
        served="everything",
        blind="nothing",
        kept="alerts: what a peer took in the future is sent again",
        proof=(Proof("slo/alertmanager/test_sender", "test_a_clock_that_jumps_loses_nothing"),),
    ),
    Row(
        part=Part.CLOCK,
        fault="the machine sleeps for an hour",
        served="everything",
        blind="the hour, `stale`",
        kept="no second is made up",
        proof=(Proof("e2e/test_collect", "test_an_interval_that_nobody_observed_is_blind_and_stale"),),
    ),
    Row(
        part=Part.PROCESS,
        fault="SIGTERM while the driver hangs",
        served="nothing: it ends, status 0",
        blind="",
        kept="it ends within two seconds",
        proof=(
            Proof("e2e/test_command_line", "test_sigterm_in_the_tick_that_meets_a_hanging_driver_is_not_held_up_by_it"),
            Proof("e2e/test_command_line", "test_sigterm_ends_it_with_0_while_the_driver_is_known_to_hang"),
        ),
    ),
    Row(
        part=Part.PROCESS,
        fault="a defect of ours in a tick",
        served="the page before",
        blind="that tick, `stale` when several fail",
        kept="the loop: the next tick is made",
        proof=(Proof("e2e/test_loop", "test_a_tick_that_fails_is_logged_and_the_next_one_is_made"),),
    ),
    Row(
        part=Part.DRIVER,
        fault="no library, no permission, not loaded yet",
        served="who holds what of whole GPUs; all else when it comes",
        blind="all, with the refusal's reason",
        kept="",
        proof=(
            Proof(
                "e2e/test_driver_trouble",
                "test_a_driver_that_cannot_be_opened_is_waited_for_and_each_refusal_has_its_reason",
            ),
            Proof("e2e/test_driver_trouble", "test_without_a_driver_library_the_exporter_serves_all_the_same"),
        ),
    ),
    Row(
        part=Part.DRIVER,
        fault="MIG cut anew under a pod",
        served="everything",
        blind="availability for one join, `ambiguous`; then it is broken",
        kept="who held what; every second",
        proof=(
            Proof(
                "e2e/test_driver_trouble",
                "test_an_instance_destroyed_under_its_pod_stays_the_pods_and_is_not_available",
            ),
        ),
    ),
    Row(
        part=Part.DRIVER,
        fault="a storm of events",
        served="everything",
        blind="nothing",
        kept="the time of a tick: at most 1,000 events are taken in one",
        proof=(Proof("nvml/test_events", "test_a_storm_does_not_keep_the_reading_from_ending"),),
    ),
    Row(
        part=Part.HAMI,
        fault="gone, garbage, links, truncated while it is read",
        served="everything",
        blind="conformance of its own container, `contradiction` or `not_yet`",
        kept="other containers' limits; the process: nothing is mapped",
        proof=(
            Proof("vendors/test_hami_region", "test_one_containers_nonsense_costs_no_other_its_limit"),
            Proof(
                "vendors/test_hami_region",
                "test_a_file_that_is_truncated_and_written_while_it_is_read_does_not_kill_the_reader",
            ),
        ),
    ),
    Row(
        part=Part.MPS,
        fault="hangs, answers nonsense, is gone",
        served="everything",
        blind="conformance under MPS, with the reason",
        kept="the tick: it is asked off it, with a deadline",
        proof=(
            Proof("vendors/test_mps_control", "test_a_daemon_that_hangs_is_given_up"),
            Proof("vendors/test_mps_control", "test_what_two_answers_say"),
            Proof("vendors/test_mps_control", "test_a_daemon_that_is_gone_has_no_limits_to_read"),
        ),
    ),
    Row(
        part=Part.DEMAND,
        fault="a pod lies, hangs, floods or is gone",
        served="everything",
        blind="nothing: its demand is inferred",
        kept="neighbours' verdicts, and the tick",
        proof=(
            Proof("policy/test_declared", "test_a_page_that_cannot_be_trusted_is_an_unknown_with_its_reason"),
            Proof("policy/test_declared", "test_slow_pods_do_not_keep_an_honest_one_from_being_heard"),
            Proof("policy/test_declared", "test_an_answer_stands_for_ten_seconds_and_then_the_failure_is_told"),
        ),
    ),
)


ROWS = tuple(sorted((*LIVE, *ELSEWHERE), key=lambda row: list(Part).index(row.part)))
"""All of it, part by part."""


def by_name(part: Part, fault: str) -> Row:
    """Return a row. Raises KeyError when there is none."""
    return {(row.part, row.fault): row for row in ROWS}[part, fault]
