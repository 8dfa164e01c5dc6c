"""No reader of what others write falls over or hangs: an answer, a `Missing`, or one clear SourceError."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.readers import READERS, Reader


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_reader_survives_whatever_is_written(reader: Reader) -> None:
    # The deadline of one example is far above what it takes: it catches what hangs, not what is slow today.
    @settings(
        max_examples=reader.most,
        deadline=timedelta(seconds=5),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(reader.feed)
    def survives(fed: Any) -> None:
        reader.read(fed)

    survives()
