"""What comes over the network: answers to questions of ours, and questions to our server; and what the service keeps."""

from __future__ import annotations

from http.client import _MAXHEADERS  # type: ignore[attr-defined]  # not in the stubs

from exporter.why import fetch
from slo import asking
from slo.alertmanager import line
from slo.alertmanager.settings import Settings
from slo.embedded import scrape
from slo.prometheus import client, frames
from toolkit.web import basicauth, connection, server
from toolkit.web.connection import Patience
from tools.limits.input import Input, size

_PATIENCE = Patience()

NETWORK = (
    Input(
        "answers to `why`, `status` and `lint --url`",
        "an exporter or a Prometheus",
        f"{size(fetch.BOUND)}",
        f"{fetch.DEADLINE:g} s",
        ("exporter/why/fetch.py",),
        (
            "tests/why/test_fetch.py::test_an_answer_that_is_too_large_is_refused",
            "tests/why/test_fetch.py::test_a_server_that_does_not_finish_costs_no_more_than_the_deadline",
            "tests/server/test_timedhead.py::test_a_head_that_drips_ends_at_the_deadline",
        ),
    ),
    Input(
        "answers of Prometheus, Mimir, Thanos, VictoriaMetrics",
        "the store",
        f"{size(client.BOUND)} held as a whole, {size(frames._LARGEST)} a frame of a stream, {size(client.SMALL)} for a small question",
        f"{asking.DEADLINE:g} s for a whole answer, retries included; no redirects, no proxy",
        ("slo/prometheus/client.py",),
        (
            "tests/slo/prometheus/test_bad_servers.py::test_an_answer_above_the_bound_is_too_much",
            "tests/slo/prometheus/test_bad_servers.py::test_an_answer_that_drips_ends_with_the_deadline",
            "tests/slo/prometheus/test_bad_servers.py::test_an_answer_to_a_small_question_has_a_size",
        ),
    ),
    Input(
        "pages of exporters that `slo run` scrapes",
        "an exporter",
        f"{size(scrape.BOUND)} unpacked; of other families nothing is kept",
        f"{scrape.DEADLINE:g} s a page, {scrape._THREADS} at a time",
        ("slo/prometheus/client.py",),
        (
            "tests/slo/embedded/test_embedded.py::test_one_that_hangs_or_lies_costs_nobody_elses_minute",
            "tests/slo/embedded/test_embedded.py::test_what_is_no_whole_page_is_told_in_a_line",
            "tests/slo/embedded/test_embedded.py::test_a_name_of_a_tenant_cannot_make_a_sample",
        ),
    ),
    Input(
        "answers of Alertmanagers",
        "an Alertmanager",
        f"{size(line._MOST_BYTES)}",
        f"{Settings().deadline:g} s",
        ("slo/alertmanager/line.py",),
        (
            "tests/slo/alertmanager/test_line.py::test_what_is_left_of_a_long_answer_belongs_to_no_later_one",
            "tests/slo/alertmanager/test_line.py::test_a_judge_survives_what_nobody_would_say",
        ),
    ),
    Input(
        "history in Parquet",
        "slicewatch itself; whoever may write to the folder is trusted",
        "none; a file that cannot be read is put aside",
        "none: a local file",
        ("slo/embedded/reader.py", "slo/embedded/store.py"),
        ("tests/slo/embedded/test_embedded.py::test_a_damaged_file_is_put_aside_and_the_rest_is_read",),
    ),
    Input(
        "the journal of alerts",
        "slicewatch itself; whoever may write to the file is trusted",
        "none; a damaged file is put aside",
        "2 s for its lock",
        ("slo/alertmanager/journal.py",),
        ("tests/slo/alertmanager/test_journal.py::test_a_damaged_file_is_put_aside_and_a_new_one_begun",),
    ),
    Input(
        "requests to the server: head and body",
        "anybody who reaches the port",
        f"{size(connection.MAX_HEAD)} and {_MAXHEADERS} fields for the head, {size(connection.MAX_BODY)} for a body; paths are compared, never opened",
        f"{_PATIENCE.head:g} s for the head, {_PATIENCE.answer:g} s to take the answer, {_PATIENCE.idle:g} s between requests",
        ("toolkit/web/connection.py", "toolkit/web/handler.py"),
        (
            "tests/server/test_server.py::test_what_is_no_request_is_refused_and_closed",
            "tests/server/test_server.py::test_a_byte_now_and_then_does_not_prolong_a_request",
            "tests/server/test_server.py::test_a_client_that_does_not_take_its_answer_is_cut_off",
        ),
    ),
    Input(
        "connections to the server",
        "anybody who reaches the port",
        f"the larger of {server._LEAST_CONNECTIONS} and {server._CONNECTIONS_PER_REQUEST} × `--web.max-requests`; then the one that waits longest makes way",
        f"{_PATIENCE.handshake:g} s for a TLS handshake",
        ("toolkit/web/connection.py",),
        (
            "tests/server/test_server.py::test_when_there_are_too_many_connections_the_one_that_waits_longest_makes_way",
            "tests/server/test_server.py::test_one_request_more_than_allowed_is_refused_and_health_is_not",
            "tests/server/test_access.py::test_a_client_that_never_shakes_hands_makes_way_for_one_that_does",
        ),
    ),
    Input(
        "passwords sent to the server",
        "anybody who reaches the port",
        f"{basicauth._MAX_HEADER:,} characters; {basicauth._MAX_REFUSED:,} wrong ones are remembered",
        f"{basicauth.MOST_CHECKS} wait for their check, one is checked at a time; those that are known do not wait",
        (),
        (
            "tests/server/test_access.py::test_a_flood_of_wrong_passwords_is_remembered_within_bounds_and_the_right_one_stays",
            "tests/server/test_access.py::test_whoever_guesses_passwords_does_not_take_the_places_of_those_who_know_one",
        ),
    ),
)
