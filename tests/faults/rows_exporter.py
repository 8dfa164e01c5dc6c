"""Rows of the exporter that tests of their own prove."""

from __future__ import annotations

from tests.faults.table import Part, Proof, Row

EXPORTER = (
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
        kept="memory: a list ends at 5,000 pods, one answer at 64 MiB",
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
        part=Part.DCGM,
        fault="hangs, errors, an empty page, or garbage",
        served="everything but the activity that it alone tells; `dcgm` down",
        blind="compute of MIG before Hopper, with the failure's reason",
        kept="it is left alone for half a minute after three failures in a row",
        proof=(
            Proof("dcgm/test_pipeline", "test_what_hangs_on_the_page_is_missing_with_its_reason_and_nothing_else"),
            Proof("dcgm/test_source", "test_after_three_failures_in_a_row_it_is_left_alone_for_half_a_minute"),
        ),
    ),
    Row(
        part=Part.DCGM,
        fault="a page that drips, or has no end",
        served="everything but the activity that it alone tells; `dcgm` down",
        blind="compute of MIG before Hopper: `timeout`, `error`",
        kept="memory and time: 16 MiB and 7.5 s for the whole page",
        proof=(
            Proof("dcgm/test_source", "test_an_endless_page_is_cut_at_its_size_without_a_length"),
            Proof("dcgm/test_source", "test_one_deadline_covers_the_whole_answer"),
        ),
    ),
    Row(
        part=Part.DCGM,
        fault="values that stand still while it answers",
        served="everything but the activity that it alone tells",
        blind="compute of MIG before Hopper: `stale`",
        kept="an old value is never taken for a new one",
        proof=(Proof("dcgm/test_pipeline", "test_a_page_that_stands_still_grows_stale_although_it_is_served"),),
    ),
    Row(
        part=Part.DCGM,
        fault="cut, or of another MIG layout",
        served="everything but that GPU's activity",
        blind="compute of that GPU's instances: `ambiguous`",
        kept="no value is put on a wrong instance",
        proof=(Proof("dcgm/test_pipeline", "test_a_page_that_is_cut_says_nothing_of_the_gpu_whose_instances_it_lost"),),
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
