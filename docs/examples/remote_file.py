"""
A file on a web server
======================

Open a measurement by its URL and read only what is needed of it.
"""

# %%
# Any server that hands out parts of files will do. This page starts one on your own
# machine; it needs ``pip install twisted``.

from pathlib import Path
from socket import socket
from subprocess import DEVNULL, Popen
from sys import executable
from time import sleep

with socket() as probe:  # a port that is free
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
listen = f"tcp:{port}:interface=127.0.0.1"
command = [executable, "-m", "twisted", "web", "--listen", listen]
server = Popen([*command, "--path", "demo-output"], stdout=DEVNULL, stderr=DEVNULL)
for _ in range(300):  # until it answers
    with socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            break
    sleep(0.1)

# %%
# From here on the URL is used as a path would be.

from matplotlib import pyplot as plt

import dcread

with dcread.HDF5Data(f"http://127.0.0.1:{port}/demo_raw.rtdc") as hd:
    print(len(hd), "events")
    images = hd.image[[40, 1400, 2100, 2900]]

size = Path("demo-output/demo_raw.rtdc").stat().st_size
print(f"the file has {size / 1e6:.0f} MB; four chunks of images were read")
server.terminate()
server.wait()

figure, axes = plt.subplots(2, 2, figsize=(7, 2.2), layout="constrained")
for ax, image in zip(axes.flat, images, strict=True):
    ax.imshow(image, cmap="gray")
    ax.set_axis_off()
