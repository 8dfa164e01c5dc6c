"""`slicewatch doctor`: what can be read on this node, what that lets us judge, and what it does not."""
