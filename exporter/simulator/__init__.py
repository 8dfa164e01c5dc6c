"""A node that does not exist: the same Protocols as the real sources, and the truth about demand, delivery and cause."""
