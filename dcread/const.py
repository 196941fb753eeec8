"""Names that the whole package shares; imports nothing of dcread."""

PROTECTED_FEATURES: list[str] = [
    "bg_off",
    "flow_rate",
    "frame",
    "g_force",
    "pressure",
    "temp",
    "temp_amb",
    "time",
    *(f"userdef{number}" for number in range(10)),
]
"""Frame-defined scalar features: equal for all events of one frame.

The ten ``userdef`` features belong to them, so that a pipeline can carry
user-defined values over unchanged.
"""

IMAGE_FEATURES: tuple[str, ...] = ("image", "image_bg", "mask")
"""Image features that `HDF5Data` serves through an image cache."""
