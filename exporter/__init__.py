"""One node, from the driver to the bytes of `/metrics`."""

__version__ = "0.1.0"
