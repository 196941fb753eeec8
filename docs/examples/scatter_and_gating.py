"""
Scatter plot and gating
=======================

Plot deformation over area, take the events in a region of it, and read their images.
"""

# %%
# Scalar features are NumPy arrays, so a gate is a condition on arrays.

from matplotlib import pyplot as plt

import dcread

hd = dcread.HDF5Data("demo-output/demo.rtdc")
area, deform = hd["area_um"], hd["deform"]
gate = (area > 45) & (area < 75) & (deform > 0.1)
print(f"{gate.sum()} of {len(hd)} events are in the gate")

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(area[~gate], deform[~gate], ".", ms=2, color="#999999", label="other events")
ax.plot(area[gate], deform[gate], ".", ms=3, color="#1f77b4", label="in the gate")
ax.set(xlabel="area [µm²]", ylabel="deformation")
ax.legend(frameon=False, markerscale=4)

# %%
# The gate is also an index of images: only the chunks that hold these events are
# decoded.

images = hd.image[gate]
print(images.shape, images.dtype)

# %%
# To work with the gated events throughout, open the measurement with the gate as its
# index mapping. Every feature then has these events only.

with dcread.HDF5Data("demo-output/demo.rtdc", index_mapping=gate) as gated:
    print(len(gated), gated["deform"].mean().round(3))
hd.close()
