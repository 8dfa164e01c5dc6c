"""Rows of `slo run` and of those around it, that tests of their own prove."""

from __future__ import annotations

from tests.faults.table import Part, Proof, Row

SLO = (
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
        served="evaluation and pages go on; `slicewatch_slo_history_up` is 0",
        blind="after a restart, the minutes that were not kept",
        kept="what was kept before is whole",
        proof=(
            Proof("faults/test_slo_disk", "test_minutes_that_cannot_be_kept_are_judged_all_the_same_and_it_is_said"),
            Proof("faults/test_slo_disk", "test_on_a_disk_that_is_really_full_what_was_kept_is_whole_and_both_say_so"),
            Proof("faults/test_slo_disk", "test_what_is_older_than_the_retention_goes_from_a_full_disk_too"),
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
        fault="a journal or a history that cannot be made",
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
)
