"""One Alertmanager: where it is, who asks, and whom to trust."""

from __future__ import annotations

from dataclasses import dataclass

from slo.alertmanager.payload import PATH
from toolkit.errors import ConfigError
from toolkit.site import ANYBODY, Access, Site, site


@dataclass(frozen=True, slots=True)
class Peer:
    """An Alertmanager. A path in its URL is the prefix that it serves under."""

    site: Site

    @property
    def url(self) -> str:
        """Its address without credentials, which is also its name in metrics and in the journal."""
        return self.site.url


def peer(text: str, access: Access = ANYBODY) -> Peer:
    """Parse a peer's URL. Raises ConfigError."""
    found = site(text, access)
    if found.url.endswith(PATH):
        raise ConfigError(f"{found.url}: expected the address of an Alertmanager, without {PATH}")
    return Peer(found)
