"""What the exporter reads of its node and its cluster."""

from __future__ import annotations

from exporter.dcgm import rows
from exporter.sources import (
    dcgm,
    declared_page,
    dra_checkpoint,
    hami_region,
    kubernetes_answer,
    kubernetes_claims,
    kubernetes_watch,
    podresources,
    procfs,
    short_answer,
)
from exporter.sources.declared import Limits
from exporter.sources.kubernetes_watch import Timing
from exporter.vendors.text import MAX_TEXT
from exporter.witness import DEADLINE, PATIENCE
from tools.limits.input import Input, size

_DECLARED, _TIMING = Limits(), Timing()

NODE = (
    Input(
        "answers of the driver",
        "the driver",
        "the structs of its own interface; lists as long as it counts",
        f"{DEADLINE:g} s, in a thread of its own; a call that hangs costs that source alone",
        ("exporter/sources/nvml/driver.py", "exporter/sources/nvml/session.py"),
        (
            "tests/e2e/test_driver_trouble.py::test_a_driver_that_hangs_goes_down_alone_and_its_partitions_are_blind_until_it_is_back",
        ),
    ),
    Input(
        "answers of the kubelet",
        "the kubelet, out of what device plugins and pods are called",
        f"{size(podresources._MAX_ANSWER)} an answer",
        f"{DEADLINE:g} s; a tick waits {PATIENCE:g} s for it",
        ("exporter/sources/grpc_unary.py",),
        (
            "tests/ownership/test_podresources_failures.py::test_an_answer_over_sixteen_mebibytes_is_told_from_a_rate_limit",
            "tests/ownership/test_grpc_peers.py::test_a_peer_that_never_comes_to_an_end_is_left_at_the_deadline",
            "tests/ownership/test_grpc_peers.py::test_whatever_comes_is_an_answer_or_a_grpc_error",
        ),
    ),
    Input(
        "documents of the API server",
        "the API server, out of what tenants create",
        f"{size(kubernetes_answer.MAX_ANSWER)} unpacked, {kubernetes_watch._MOST_PODS:,} pods",
        f"{kubernetes_answer.WHOLE_SECONDS:g} s, and {_TIMING.request:g} s between bytes",
        ("exporter/sources/kubernetes_answer.py", "exporter/sources/kubernetes_api.py"),
        (
            "tests/ownership/test_kubernetes_bounds.py::test_an_answer_above_the_bound_is_refused",
            "tests/ownership/test_kubernetes_bounds.py::test_an_answer_that_drips_ends_at_its_deadline",
            "tests/server/test_timedhead.py::test_a_head_that_drips_ends_at_the_deadline",
            "tests/ownership/test_kubernetes_bounds.py::test_a_list_that_never_ends_is_given_up",
        ),
    ),
    Input(
        "events of a watch",
        "the API server, out of what tenants create",
        f"{size(kubernetes_answer.MAX_LINE)} an event",
        f"{_TIMING.silence:g} s of silence; believed for {_TIMING.stale:g} s",
        ("exporter/sources/kubernetes_answer.py",),
        (
            "tests/ownership/test_kubernetes_bounds.py::test_an_event_that_never_ends_is_refused",
            "tests/ownership/test_kubernetes.py::test_a_half_open_connection_ends_after_its_silence",
        ),
    ),
    Input(
        "claims (DRA)",
        "tenants",
        f"{kubernetes_claims._MOST_CLAIMS} claims of a node, {kubernetes_claims._PAGES} pages of slices; of a claim, what a pod may have",
        f"asked every {_TIMING.claims:g} s, as documents of the API server",
        (),
        ("tests/vendors/test_dra.py::test_no_object_hurts",),
    ),
    Input(
        "annotations of pods (HAMi, Volcano, KAI, Run:ai)",
        "schedulers, and whoever may annotate pods",
        f"{size(MAX_TEXT)} an annotation, 64 devices a container",
        "none is needed: they come with the pod",
        (),
        ("tests/vendors/test_hami.py::test_what_is_too_long_is_not_looked_at_and_what_is_too_many_is_cut",),
    ),
    Input(
        "processes: stat and cgroup",
        "the kernel, out of names that tenants choose",
        f"{size(procfs._MAX_STAT)} and {size(procfs._MAX_CGROUP)}",
        "none: the kernel's memory, read by the tick itself",
        ("exporter/sources/procfs.py",),
        (
            "tests/ownership/test_procfs.py::test_an_endless_file_is_read_to_its_limit",
            "tests/ownership/test_procfs.py::test_no_text_breaks_the_reading_of_a_stat",
        ),
    ),
    Input(
        "HAMi's shared region",
        "the tenant itself, into a file on the host",
        f"a regular file of exactly {size(hami_region.SIZE)}, of which {size(hami_region.HEAD)} are read; {hami_region._MOST_ENTRIES} files of a container",
        f"{DEADLINE:g} s; opened without following links and without waiting",
        ("exporter/sources/hami_region.py",),
        (
            "tests/vendors/test_hami_region.py::test_what_is_no_regular_file_is_no_region_and_is_not_waited_for",
            "tests/vendors/test_hami_region.py::test_a_flood_of_files_is_not_read_to_its_end",
            "tests/vendors/test_hami_region.py::test_a_file_that_is_truncated_and_written_while_it_is_read_does_not_kill_the_reader",
        ),
    ),
    Input(
        "answers of MPS control daemons",
        "the daemon, by its own program",
        f"{size(short_answer.MAX_BYTES)}",
        "2.5 s for all of them",
        ("exporter/sources/short_answer.py", "exporter/sources/mps_control.py"),
        (
            "tests/vendors/test_mps_control.py::test_a_program_that_goes_on_and_on_is_ended_and_says_nothing",
            "tests/vendors/test_mps_control.py::test_a_daemon_that_hangs_is_given_up",
        ),
    ),
    Input(
        "checkpoint of the DRA driver",
        "the DRA driver",
        f"{size(dra_checkpoint._MOST_BYTES)}, {dra_checkpoint._MOST_CLAIMS} claims; a regular file",
        f"{DEADLINE:g} s",
        ("exporter/sources/dra_checkpoint.py",),
        ("tests/vendors/test_dra.py::test_without_a_checkpoint_nothing_is_prepared_and_a_directory_is_none",),
    ),
    Input(
        "pages of declared demand",
        "the tenant itself",
        f"{size(_DECLARED.max_bytes)} a page, {declared_page._MAX_LINES} samples; no redirects, no compression",
        f"{_DECLARED.deadline:g} s a page, {_DECLARED.workers} at a time, never on the tick",
        ("exporter/sources/declared_page.py",),
        (
            "tests/policy/test_declared.py::test_a_page_that_cannot_be_trusted_is_an_unknown_with_its_reason",
            "tests/policy/test_declared.py::test_reading_never_waits_for_a_pod",
            "tests/policy/test_declared.py::test_slow_pods_do_not_keep_an_honest_one_from_being_heard",
        ),
    ),
    Input(
        "pages of dcgm-exporter",
        "dcgm-exporter, out of what tenants are called",
        f"{size(dcgm.MOST_BYTES)} a page, {rows.MOST_ROWS:,} rows; no redirects, no compression",
        f"{dcgm.DEADLINE:g} s a page, one at a time; half a minute's rest after three failures",
        ("exporter/sources/bounded_page.py",),
        (
            "tests/dcgm/test_source.py::test_an_endless_page_is_cut_at_its_size_without_a_length",
            "tests/dcgm/test_source.py::test_one_deadline_covers_the_whole_answer",
            "tests/dcgm/test_source.py::test_after_three_failures_in_a_row_it_is_left_alone_for_half_a_minute",
        ),
    ),
)
