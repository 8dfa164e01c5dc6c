"""What a node's sources said, tick by tick, in a file: for bug reports, and to be played through the same pipeline again."""
