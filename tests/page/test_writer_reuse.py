"""Pages in a row: whatever a writer takes over from the page before, the page reads as if it were written anew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import catalogue as c
from exporter.exposition import Distribution, Family, Writer, columns, distributions, family
from exporter.model import Missing, Reading, Reason

KEYS = st.sampled_from(["a", "b c", 'd" 1.0', "e\n"])
NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)  # -0.0 equals 0.0
GAUGES = st.dictionaries(KEYS, NUMBERS, max_size=4)
COUNTS = st.dictionaries(KEYS, st.integers(0, 3), max_size=4)


def page(gauges: dict[str, float], counts: dict[str, int]) -> list[Family]:
    return [
        family(c.DEVICE_POWER, [(c.GpuKey(gpu), value) for gpu, value in gauges.items()]),
        distributions(
            c.SOURCE_READ_DURATION,
            [(c.SourceKey(name), Distribution((0.5,), (n, n + 1), float(n))) for name, n in counts.items()],
        ),
    ]


@given(st.lists(st.tuples(GAUGES, COUNTS), max_size=6))
def test_a_page_after_others_is_the_page_that_a_new_writer_makes(pages: list[tuple[dict[str, float], dict[str, int]]]):
    writer = Writer()
    for gauges, counts in pages:
        assert writer.render(page(gauges, counts)) == Writer().render(page(gauges, counts))


@pytest.mark.parametrize("fault", [[("a", 1.0), ("a", 1.0)], [("a", float("nan"))], [("b", 1.0), ("a", float("inf"))]])
def test_a_page_after_one_that_was_refused_is_whole(fault: list[tuple[str, float]]):
    writer = Writer()
    good = page({"a": 1.0, "z": 2.0}, {})
    writer.render(good)
    with pytest.raises(ValueError, match="gpu_device_power_watts"):
        writer.render([family(c.DEVICE_POWER, [(c.GpuKey(gpu), value) for gpu, value in fault])])
    assert writer.render(good) == Writer().render(good)


@given(st.lists(st.lists(st.integers(0, 3) | st.just(Missing(Reason.TIMEOUT)), min_size=3, max_size=3), max_size=6))
def test_values_that_come_and_go_under_the_same_keys_are_written_as_anew(pages: list[list[Reading]]):
    keys = [c.GpuKey(gpu) for gpu in ("a", "b", "c")]
    writer = Writer()
    for values in pages:
        made = columns(c.DEVICE_POWER, keys, values, unit=2)
        page = writer.render([made])
        assert page == Writer().render([made])
        known = [value / 2 for value in values if not isinstance(value, Missing)]
        assert [value for _, value in made.rows] == known
        assert page.series == len(known) == page.text.count(b"\ngpu_device_power_watts{")


def test_a_family_in_which_nothing_has_changed_is_not_written_again():
    writer = Writer()
    first, second = (writer.render(page({"a": 1.0, "z": 2.0}, {})) for _ in range(2))
    assert first.text_pieces[1] is second.text_pieces[1]
