"""The NVIDIA driver through NVML: the one part of the exporter that knows pynvml, imported only when it is opened."""

from __future__ import annotations

from exporter.sources.nvml.driver import NvmlDriver

__all__ = ["NvmlDriver"]
