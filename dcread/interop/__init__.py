"""Doors to other libraries; each loads what it needs when it is used."""
