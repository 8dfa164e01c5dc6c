"""`slicewatch lint`: promises that cannot be kept, or that nobody enforces, on a live node and in manifests."""
