"""Use dcnum's writer on a measurement, with the reader the environment names.

usage: python run_writer.py PATH_IN FOLDER_OUT
"""

from __future__ import annotations

import os
import pathlib
import sys

from serve import install

install(os.environ["DROPIN_READER"], os.environ["DROPIN_WITNESS"])


def main() -> None:
    import h5py
    import numpy as np
    from dcnum import read, write

    path_in, folder = (pathlib.Path(text) for text in sys.argv[1:])

    # An input with basins of every kind that the writer knows.
    referrer = folder / "referrer.rtdc"
    with h5py.File(path_in) as source, write.HDF5Writer(referrer, mode="w") as hw:
        write.copy_metadata(h5_src=source, h5_dst=hw.h5)
        count = source["events/image"].shape[0]
        mapping = np.arange(count - 1, -1, -2)
        write.copy_features(source, hw.h5, ["deform", "frame"], mapping=mapping)
        hw.store_basin(
            name="raw",
            paths=[path_in, path_in.name],
            features=["image", "mask"],
            mapping=mapping,
            identifier=read.get_measurement_identifier(source),
            description="the raw data",
        )
        hw.store_basin(
            name="background images",
            internal_data={"image_bg": source["events/image_bg"][:3]},
            mapping=np.arange(mapping.size) % 3,
            description="few backgrounds",
        )
        hw.store_log("remark", ["first line", "second line"])
        hw.h5.attrs["experiment:event count"] = mapping.size

    # Files made of files.
    write.create_with_basins(folder / "over.rtdc", basin_paths=[path_in])
    write.create_with_basins(
        folder / "over-referrer.rtdc", basin_paths=[[referrer, referrer.name]]
    )
    with (
        h5py.File(referrer) as source,
        h5py.File(folder / "copied.rtdc", "w") as target,
    ):
        write.copy_metadata(h5_src=source, h5_dst=target)
        write.copy_basins(h5_src=source, h5_dst=target)

    # What comes through the reader is stored chunk by chunk.
    with (
        read.HDF5Data(referrer) as hd,
        write.HDF5Writer(folder / "drained.rtdc", mode="w") as hw,
    ):
        write.copy_metadata(h5_src=hd.h5, h5_dst=hw.h5)
        for chunk in hd.image.iter_chunks():
            hw.store_feature_chunk("image", hd.image.get_chunk(chunk))
            hw.store_feature_chunk("image_bg", hd.image_bg.get_chunk(chunk))
            hw.store_feature_chunk("mask", hd.mask.get_chunk(chunk))
            hw.store_feature_chunk("image_corr", hd.image_corr.get_chunk(chunk))
        for feat in ("deform", *hd.features_scalar_frame):
            hw.store_feature_chunk(feat, hd[feat])
        hw.store_log("identity", [hd.get_ppid(), hd.md5_5m, str(len(hd))])


if __name__ == "__main__":
    main()
