"""Caches of images."""
