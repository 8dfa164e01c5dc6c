"""The rows that are played in this process, by `test_live.py`."""

from __future__ import annotations

from tests.faults.table import Blind, Group, Live, Part, Proof, Row

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
