"""Without a Prometheus: exporters are scraped, and what they say is kept in Parquet."""
