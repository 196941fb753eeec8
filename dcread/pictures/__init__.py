"""Figures of a measurement: cells with their outlines, plots of features."""
