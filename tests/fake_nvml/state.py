"""The fake NVIDIA driver's state, from one place: the values, `write`, and `from_reading`.

    library = build(directory)                 # tests.fake_nvml.build; libnvidia-ml.so.1
    os.environ[STATE_VARIABLE] = str(path)     # before nvmlInit; read again by the library at every call
    write(path, FakeDriver(gpus=(FakeGpu(uuid="GPU-…"),)))
    ctypes.CDLL(str(library))                  # the real pynvml then finds it by its SONAME

Writing another state changes what the running process reads from its next call on; a state file of another path is
another machine, whose events are all new. `tests.fake_nvml.library.FakeLibrary` loads the library and reads its counters
(fake_nvml_calls, fake_nvml_concurrent_calls, fake_nvml_in_flight, fake_nvml_live_samples, fake_nvml_live_event_sets,
fake_nvml_live_inits).
"""

from __future__ import annotations

from tests.fake_nvml.encode import STATE_VARIABLE, write
from tests.fake_nvml.reading import as_read, from_reading
from tests.fake_nvml.values import (
    EVENT_MIG_CONFIG,
    EVENT_XID,
    GPM_DRAM,
    GPM_GRAPHICS,
    GPM_OCCUPANCY,
    GPM_SM,
    GPM_TENSOR,
    NOT_SUPPORTED,
    WHOLE_GPU,
    Code,
    FakeDriver,
    FakeEvent,
    FakeGpu,
    FakeGpuInstance,
    FakeInstance,
    FakeMemory,
    FakeProcess,
    FakeProfile,
    Fault,
    Faults,
    Refused,
)

__all__ = [
    "EVENT_MIG_CONFIG",
    "EVENT_XID",
    "GPM_DRAM",
    "GPM_GRAPHICS",
    "GPM_OCCUPANCY",
    "GPM_SM",
    "GPM_TENSOR",
    "NOT_SUPPORTED",
    "STATE_VARIABLE",
    "WHOLE_GPU",
    "Code",
    "FakeDriver",
    "FakeEvent",
    "FakeGpu",
    "FakeGpuInstance",
    "FakeInstance",
    "FakeMemory",
    "FakeProcess",
    "FakeProfile",
    "Fault",
    "Faults",
    "Refused",
    "as_read",
    "from_reading",
    "write",
]
