"""Which MIG profile a lease was promised: by the resource's name, by the node's labels, else as first attached."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.ids import SHARED_SUFFIX, profile_of_resource
from exporter.model import PromiseSource
from exporter.records import Grant, Sharing

_PRODUCT_MARK = "-MIG-"
_SHARED_MARK = "-SHARED"
_GKE_SIZE = "cloud.google.com/gke-gpu-partition-size"


def promised_profile(
    resource: str, labels: Mapping[str, str], attached: str, grant: Grant | None = None
) -> tuple[str, PromiseSource]:
    """Return the promised profile's name and where it was read; "" for a device that is no MIG instance.

    A record comes first: of a claim, or of an instance that a scheduler made. One that does not name the profile gives
    the one that was attached first.

    Strategy `mixed` names the profile in the resource. Strategy `single` advertises instances as `nvidia.com/gpu`, and
    only GPU feature discovery's product label tells the profile (`…-MIG-1g.5gb`), or GKE's partition size. Without labels
    it is the profile that was attached when the lease was first seen.
    """
    if grant is not None:
        source = PromiseSource.CLAIM if grant.sharing is Sharing.DRA else PromiseSource.ANNOTATION
        return (grant.profile or attached) if attached else "", source
    named = profile_of_resource(resource)
    if named is not None:
        return named, PromiseSource.RESOURCE_NAME
    if not attached:
        return "", PromiseSource.RESOURCE_NAME
    product = labels.get(f"{plain_resource(resource)}.product", "")
    _, mark, profile = product.removesuffix(_SHARED_MARK).partition(_PRODUCT_MARK)
    of_gke = labels.get(_GKE_SIZE, "")
    named = profile if mark and "g." in profile else of_gke if "g." in of_gke else attached
    return named, PromiseSource.PLUGIN_CONFIG


def plain_resource(resource: str) -> str:
    """The resource's name before the plugin renamed it; GPU feature discovery's labels are keyed by it."""
    return resource.removesuffix(SHARED_SUFFIX)
