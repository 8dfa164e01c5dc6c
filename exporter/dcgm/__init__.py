"""A page of dcgm-exporter, read by somebody who knows what real pages hold. Pure: texts in, values out."""
