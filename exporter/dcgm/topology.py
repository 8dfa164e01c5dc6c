"""Whether a page's GPU instances are the driver's. Pure.

The page knows an instance by its number, which is used again when a GPU is divided anew, and by a profile that is a label: it is
rounded wrongly on some boards (NVIDIA/dcgm-exporter#544, #713) and empty where an instance has no compute instance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

_SLICES = re.compile(r"([0-9]{1,2})g\.", re.ASCII)
_COMPUTE = re.compile(r"[0-9]{1,2}c\.", re.ASCII)


@dataclass(frozen=True, slots=True)
class Topology:
    """Where page and driver differ about one GPU, by instance number."""

    renamed: frozenset[int]  # in both, under another profile's name
    resized: frozenset[int]  # in both, with another number of slices
    missing: frozenset[int]  # on the page they are not
    unknown: frozenset[int]  # to the driver they are not

    @property
    def same(self) -> bool:
        """Whether the page can be of this layout: a wrongly rounded name is no other instance."""
        return not (self.resized or self.missing or self.unknown)


def compare(labelled: Mapping[int, str], listed: Mapping[int, str]) -> Topology:
    """Compare profiles by instance number, "" for a label that is none. `listed` are those that have a compute instance.

    An instance of the page without a profile has no compute instance, and the driver has no MIG device to list for it.
    """
    both = {number for number in labelled.keys() & listed.keys() if labelled[number]}
    return Topology(
        renamed=frozenset(number for number in both if labelled[number] != instance_profile(listed[number])),
        resized=frozenset(number for number in both if not _same_size(labelled[number], listed[number])),
        missing=frozenset(listed.keys() - labelled.keys()),
        unknown=frozenset(number for number in labelled.keys() - listed.keys() if labelled[number]),
    )


@lru_cache(maxsize=256)
def instance_profile(profile: str) -> str:
    """The GPU instance's profile of a compute instance's: `3g.40gb` of `1c.3g.40gb`."""
    return _COMPUTE.sub("", profile, count=1)


@lru_cache(maxsize=256)
def slices(profile: str) -> int:
    """Compute slices of the GPU instance, as a profile's name has them; 0 where it has none."""
    found = _SLICES.match(instance_profile(profile))
    return 0 if found is None else int(found[1])


def _same_size(one: str, other: str) -> bool:
    return slices(one) == slices(other) or 0 in {slices(one), slices(other)}
