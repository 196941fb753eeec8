"""
Brightness over time
====================

See whether the light source drifts or flickers.
"""

# %%
# :func:`dcread.flicker_report` takes the median of the top rows of each image, where no
# cells are, and tells a slow drift from single images that are too bright or too dark.

from matplotlib import pyplot as plt

import dcread

with dcread.HDF5Data("demo-output/demo_raw.rtdc") as hd:
    report = dcread.flicker_report(hd)
    time = hd["time"][: report.frames]

bad = report.flickering_frames_without_drift
print("flickering:", report.flickering)
print(f"{len(bad)} of {report.frames} images")
print(f"drift: {report.drift_range:.1f} grey values")

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.plot(time, report.medians, ".", ms=3, color="#999999", label="images")
ax.plot(time[bad], report.medians[bad], ".", color="#d62728", label="flickering")
ax.set(xlabel="time [s]", ylabel="brightness of the background")
ax.legend(frameon=False)
