"""What changed from one tree to the next, as a JSON merge patch (RFC 7386): a tick differs from the one before in little."""

from __future__ import annotations

from exporter.recording.codec import Tree


def difference(before: Tree, after: Tree) -> Tree:
    """Return the patch that makes `after` of `before`; both are mappings."""
    found = {}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            inner = difference(old, value)
            if inner:
                found[key] = inner
        elif key not in before or old != value or type(old) is not type(value):
            found[key] = value
    found |= dict.fromkeys(before.keys() - after.keys())
    return found


def patched(before: Tree, patch: Tree) -> Tree:
    """Return `before` with a patch; neither is changed."""
    if not isinstance(patch, dict):
        return patch
    found = dict(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = patched(found.get(key), value)
    return found
