"""Compiled loops on memory: no file, no h5py, nothing of dcread is known here."""
