"""Pruning one network: groups, selection, masks, the physical cut, and the session that applies a policy."""
