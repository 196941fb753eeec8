"""
Background correction
=====================

Subtract the background from an image.
"""

# %%
# ``image_corr`` is ``image`` minus ``image_bg``. It is a signed type, so that pixels
# darker than the background are negative.

import numpy as np
from matplotlib import pyplot as plt

import dcread

with dcread.HDF5Data("demo-output/demo.rtdc") as hd:
    event = 6
    pictures = {
        "image": hd.image[event],
        "image_bg": hd.image_bg[event],
        "image_corr": hd.image_corr[event],
    }

corrected = pictures["image_corr"]
print(corrected.dtype, corrected.min(), corrected.max())

figure, axes = plt.subplots(3, 1, figsize=(7, 6), layout="constrained")
for ax, (name, picture) in zip(axes, pictures.items(), strict=True):
    shown = ax.imshow(picture, cmap="gray")
    ax.set(title=name, xticks=[], yticks=[])
    figure.colorbar(shown, ax=ax)

# %%
# The same, by NumPy:

by_hand = pictures["image"].astype(np.int16) - pictures["image_bg"]
print(np.array_equal(by_hand, corrected))
