"""
A cell with its mask and contour
================================

Draw the image of one event with the outline of its mask.
"""

# %%
# The mask is a boolean array, True where the event is. The file keeps no contour here,
# so matplotlib draws the line between True and False.

from matplotlib import pyplot as plt

import dcread

with dcread.HDF5Data("demo-output/demo.rtdc") as hd:
    event = int(hd["area_um"].argmax())
    image, mask = hd.image[event], hd.mask[event]
    micrometre = hd.pixel_size

print(f"event {event}: {mask.sum()} pixels, {mask.sum() * micrometre**2:.0f} µm²")

figure, axes = plt.subplots(2, 1, figsize=(7, 3.9), layout="constrained")
height, width = image.shape
extent = (0, width * micrometre, height * micrometre, 0)
for ax in axes:
    ax.imshow(image, cmap="gray", extent=extent)
    ax.set_ylabel("µm")
axes[0].set_title("image")
axes[1].set_title("image and the outline of its mask")
axes[1].contour(mask, levels=[0.5], colors="#ff7f0e", extent=extent, origin="upper")

# %%
# Where a measurement stores contours, ``hd["contour"][event]`` is an array of x and y.
