"""Locks, and values that one thread loads while others wait."""
