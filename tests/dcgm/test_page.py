"""What the captures have no page for: limits, odd spellings, and whatever hypothesis thinks of."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.dcgm import labels, rows
from exporter.dcgm.fields import BY_NAME
from exporter.dcgm.page import Page, parse
from tests.dcgm.pages import GPU, page, row


def values(found: Page) -> list[dict[str, float]]:
    return [dict(device.values) for device in found.devices]


@pytest.mark.parametrize(
    ("line", "read"),
    [
        (f'DCGM_FI_DEV_GPU_TEMP{{UUID="{GPU}"}} 40', {"temperature_celsius": 40.0}),
        (f'  DCGM_FI_DEV_GPU_TEMP {{ UUID = "{GPU}" , }}40', {"temperature_celsius": 40.0}),
        (f'dcgm_gpu_temp{{uuid="{GPU.lower()}"}} 4e1 1700000000000', {"temperature_celsius": 40.0}),
        (f'DCGM_FI_DEV_GPU_TEMP{{UUID="{GPU}"}}\t40\t', {"temperature_celsius": 40.0}),
        (f'DCGM_FI_DEV_POWER_USAGE{{UUID="{GPU}"}} -0', {"power_watts": 0.0}),
        (f'DCGM_FI_PROF_SM_ACTIVE{{UUID="{GPU}"}} 1.05', {"sm_active_ratio": 1.0}),
        (f'DCGM_FI_DEV_FB_USED{{UUID="{GPU}"}} 2147483648', {"fb_used_bytes": 2147483648.0 * 1048576}),
    ],
)
def test_a_line_is_read_in_every_spelling(line: str, read: dict[str, float]):
    assert values(parse(page(line))) == [read]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("garbage", "no_value"),
        ("<html><body>404 page not found</body></html>", "not_a_sample"),
        (f'DCGM_FI_DEV_GPU_TEMP{{UUID="{GPU}" 40', "not_a_sample"),
        (f'DCGM_FI_DEV_GPU_TEMP{{UUID="{GPU}"}} 4_0', "not_a_number"),
        (f'DCGM_FI_DEV_GPU_TEMP{{UUID="{GPU}"}} ٤٠', "not_a_number"),
        (f'DCGM_FI_DEV_GPU_TEMP{{UUID="{GPU}"}} 0x28', "not_a_number"),
        (f'DCGM_FI_DEV_GPU_TEMP{{UUID="{GPU}"}} 40 x', "not_a_sample"),
        (f'DCGM_FI_DEV_GPU_TEMP{{UUID="{GPU}"}} 40 1 2', "not_a_sample"),
        (f'DCGM_FI_DEV_GPU_TEMP{{UUID="{GPU}",GPU_I_ID="x"}} 40', "instance"),
        (f'DCGM_FI_DEV_GPU_TEMP{{UUID="{GPU}",=}} 40', "labels"),
        (f'DCGM_FI_DEV_GPU_TEMP{{UUID="{GPU}",a="{"x" * labels.LONGEST}"}} 40', "labels"),
    ],
)
def test_a_line_that_is_none_spoils_no_other(line: str, reason: str):
    good = row("DEV_GPU_TEMP", 41)
    found = parse(page(good, line, row("DEV_POWER_USAGE", 90)))
    assert values(found) == [{"temperature_celsius": 41.0, "power_watts": 90.0}]
    assert [(each.line, each.reason) for each in found.bad] == [(2, reason)]


@pytest.mark.parametrize("value", ["4_0", "٤٠", "0x28", "40 x", "", "40 1 2", "infinity_"])
def test_a_number_is_read_as_strictly_behind_labels_that_are_known_already(value: str):
    """Python's own idea of a number is wider than the text format's."""
    found = parse(page(row("DEV_GPU_TEMP", 41), row("DEV_POWER_USAGE", value), row("DEV_FB_USED", 1)))
    assert values(found) == [{"temperature_celsius": 41.0, "fb_used_bytes": 1048576.0}]
    assert [each.line for each in found.bad] == [2]


@pytest.mark.parametrize("spelt", [GPU.upper(), GPU.lower(), GPU])
def test_a_gpu_is_known_by_its_uuid_in_every_case(spelt: str):
    found = parse(page(row("DEV_GPU_TEMP", 41), row("DEV_POWER_USAGE", 90, gpu=spelt)))
    assert [device.parent for device in found.devices] == [GPU]


def test_device_rows_that_disagree_are_no_devices_value_whatever_owners_have():
    rows_ = [row("DEV_FB_USED", 100, x="1"), row("DEV_FB_USED", 200, x="2"), row("DEV_FB_USED", 5, pod="a")]
    found = parse(page(*rows_))
    assert values(found) == [{}]
    assert found.counts.conflicting_rows == 3


def test_an_engine_of_a_whole_gpu_that_reads_0_while_the_board_draws_power_is_suspect():
    def checks(*lines: str) -> list[tuple[str, str | None, int | None]]:
        return [each[:3] for each in parse(page(*lines)).suspects]

    idle, limit = row("PROF_GR_ENGINE_ACTIVE", 0), row("DEV_ENFORCED_POWER_LIMIT", 500)
    assert checks(idle, limit, row("DEV_POWER_USAGE", 400)) == [("engine_zero_while_busy", GPU, None)]
    assert checks(idle, limit, row("DEV_POWER_USAGE", 100)) == []
    assert checks(idle, row("DEV_POWER_USAGE", 400)) == []


def test_lines_may_end_as_they_do_on_windows():
    found = parse(
        page("# TYPE x gauge\r", "\r", row("DEV_GPU_TEMP", 41) + "\r", row("DEV_POWER_USAGE", 9, gi=1) + "\r")
    )
    assert values(found) == [{"temperature_celsius": 41.0, "power_watts": 9.0}, {}]
    assert (found.counts.lines, found.counts.bad_lines) == (2, 0)


def test_a_link_is_no_device():
    found = parse(page(row("DEV_GPU_TEMP", 41), row("DEV_NVLINK_BANDWIDTH_TOTAL", 3, nvlink="2")))
    assert values(found) == [{"temperature_celsius": 41.0}]
    assert found.counts.ignored == 1


def test_a_name_cannot_take_another_devices_place():
    """A tenant chooses its job's name: whatever it writes there, the row's identity stays what was printed first."""
    found = parse(page(row("DEV_GPU_TEMP", 41, hpc_job='x",UUID="GPU-00000000-0000-0000-0000-000000000000')))
    assert [device.parent for device in found.devices] == [GPU]
    assert found.devices[0].hints[0].hpc_job == "x"


def test_counts_of_events_in_a_window_are_told_by_their_label():
    rows_ = [
        f'DCGM_EXP_XID_ERRORS_COUNT{{UUID="{GPU}",GPU_I_ID="{gi}",window_size_in_ms="300000",xid="31"}} 2'
        for gi in (1, 2)
    ]
    found = parse(page(*rows_))
    assert [(w.label, w.window_seconds, w.value) for d in found.devices for w in d.windows] == [
        (("xid", "31"), 300.0, 2.0),
        (("xid", "31"), 300.0, 2.0),
    ]
    # The exporter looks such counts up by the GPU: what stands on every instance is nobody's in particular.
    assert [each.check for each in found.suspects] == ["window_events_on_all_instances"]


def test_rows_beyond_the_limit_are_not_read_and_counted():
    more = 7
    found = parse(page(*[row("DEV_GPU_TEMP", 41)] * (rows.MOST_ROWS + more)))
    assert found.counts.bad_lines == more
    assert found.counts.sum == found.counts.lines == rows.MOST_ROWS + more


PUNCTUATION = '{}",=\\ \t\n#\0é'
WORDS = st.sampled_from(
    (
        *PUNCTUATION,
        *("\r\n", "nan", "1.2", "-1", "2147483633", "1_0", "UUID", "GPU_I_ID", GPU, '",UUID="', '"} 5'),
        *("exported_pod", "pod", "nvlink", "xid", "DCGM_EXP_XID_ERRORS_COUNT", *sorted(BY_NAME)[:6]),
    )
)
SPELT = st.sampled_from(sorted(BY_NAME)).map(lambda name: name.removeprefix("DCGM_FI_"))
LINES = st.one_of(
    st.lists(WORDS, max_size=12).map("".join),
    st.text(max_size=20),
    st.builds(
        row,
        SPELT,
        st.sampled_from(["0", "0.5", "1.02", "1.3", "-1", "117", "2147483633", "nan", "", "x", "9223372036854775793"]),
        gi=st.none() | st.integers(0, 3),
        profile=st.sampled_from(["1g.10gb", "<<<NULL>>>", '"']),
        pod=st.sampled_from(["", "a", "b", '"', "\\"]),
    ),
)


@given(st.lists(LINES, max_size=25), st.sampled_from(["\n", "", "\n#"]))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_text_there_is_an_answer_and_it_adds_up(lines: list[str], end: str):
    found = parse("\n".join(lines) + end)
    counts = found.counts
    assert counts.sum == counts.lines
    assert counts.stored == sum(len(device.values) + len(device.windows) for device in found.devices)
    assert counts.suspects == len(found.suspects) == len(set(found.suspects))
    for device in found.devices:
        assert all(value >= 0 for value in device.values.values())
        assert all(value <= 1 for key, value in device.values.items() if key.endswith("_ratio"))


@given(st.text(alphabet='",=\\ab_ \n\t}{', max_size=300))
@settings(max_examples=200, deadline=None)
def test_whatever_the_labels_they_are_read_or_not(block: str):
    found = labels.parse(block)
    assert found is None or all(name == name.lower() for name in found.values)


@pytest.mark.parametrize(
    "block",
    ['a="' + '",' * 5000, 'a="' + '"' + " " * 16000, 'a="' + "\\" * 16000, "a" * 16000, 'a="x",' * 2700, '"  ,' * 4000],
)
def test_no_labels_take_long(block: str):
    """None of the patterns tries one text in two ways: the longest labels are read in a blink."""
    started = time.process_time()
    labels.parse(block)
    assert time.process_time() - started < 0.25
