"""The parts of the server: pages, conversations, passwords, certificates. `exporter.server` puts them together."""
