"""A made-up but realistic measurement, and the main job on it.

`generate.make_measurement` writes the files, `job.run_job` reads a measurement in
every way that the library offers, `picture.draw_report` draws what was found. The
command ``dcread demo`` is a thin door to the three.
"""
