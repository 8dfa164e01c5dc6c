"""The parts of the server: pages, conversations, passwords, certificates. `toolkit.web.server` puts them together."""
