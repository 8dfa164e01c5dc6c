"""`slicewatch why`: one partition's case, from what an exporter or Prometheus knows to a sentence with its evidence."""
