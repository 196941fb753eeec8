"""Names, labels and units of the features that the field knows."""

from __future__ import annotations

import difflib
import functools
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..errors import FeatureNotFoundError

ScalarName: TypeAlias = Literal[
    "area_cvx", "area_msd", "area_ratio", "area_um", "area_um_raw", "aspect",
    "bg_med", "bg_off", "bright_avg", "bright_bc_avg", "bright_bc_sd",
    "bright_perc_10", "bright_perc_90", "bright_sd", "circ", "deform", "deform_raw",
    "eccentr_prnc", "emodulus", "fl1_area", "fl1_dist", "fl1_max", "fl1_max_ctc",
    "fl1_npeaks", "fl1_pos", "fl1_width", "fl2_area", "fl2_dist", "fl2_max",
    "fl2_max_ctc", "fl2_npeaks", "fl2_pos", "fl2_width", "fl3_area", "fl3_dist",
    "fl3_max", "fl3_max_ctc", "fl3_npeaks", "fl3_pos", "fl3_width", "flow_rate",
    "frame", "g_force", "index", "index_online", "inert_ratio_cvx",
    "inert_ratio_prnc", "inert_ratio_raw", "ml_class", "nevents", "pc1", "pc2",
    "per_ratio", "per_um_raw", "pos_x", "pos_y", "pressure", "qpi_dm", "qpi_dm_avg",
    "qpi_dm_dns", "qpi_dm_sd", "qpi_focus", "qpi_pha_int", "qpi_ri_avg", "qpi_ri_sd",
    "size_x", "size_y", "sym_x", "sym_y", "temp", "temp_amb", "tex_asm_avg",
    "tex_asm_ptp", "tex_con_avg", "tex_con_ptp", "tex_cor_avg", "tex_cor_ptp",
    "tex_den_avg", "tex_den_ptp", "tex_ent_avg", "tex_ent_ptp", "tex_f12_avg",
    "tex_f12_ptp", "tex_f13_avg", "tex_f13_ptp", "tex_idm_avg", "tex_idm_ptp",
    "tex_sen_avg", "tex_sen_ptp", "tex_sva_avg", "tex_sva_ptp", "tex_var_avg",
    "tex_var_ptp", "tilt", "time", "userdef0", "userdef1", "userdef2", "userdef3",
    "userdef4", "userdef5", "userdef6", "userdef7", "userdef8", "userdef9", "volume",
    "basinmap0", "basinmap1", "basinmap2", "basinmap3", "basinmap4", "basinmap5",
    "basinmap6", "basinmap7", "basinmap8", "basinmap9",
]  # fmt: skip
"""Scalar features: one number per event (for type checkers; a test compares)."""

Kind: TypeAlias = Literal["scalar", "image", "mask", "trace", "contour"]

_SCALARS = {
    "area_cvx": ("Area of the convex contour", "px"),
    "area_msd": ("Area of the measured contour", "px"),
    "area_ratio": ("Porosity: convex area over measured area", ""),
    "area_um": ("Area", "µm²"),
    "area_um_raw": ("Area of the raw contour", "µm²"),
    "aspect": ("Aspect ratio of the bounding box", ""),
    "bg_med": ("Median brightness of the frame's background", "a.u."),
    "bg_off": ("Offset of the frame's background brightness", "a.u."),
    "bright_avg": ("Brightness, mean", "a.u."),
    "bright_sd": ("Brightness, standard deviation", "a.u."),
    "bright_bc_avg": ("Brightness without background, mean", "a.u."),
    "bright_bc_sd": ("Brightness without background, standard deviation", "a.u."),
    "bright_perc_10": ("Brightness without background, 10th percentile", ""),
    "bright_perc_90": ("Brightness without background, 90th percentile", ""),
    "circ": ("Circularity", ""),
    "deform": ("Deformation: 1 minus the circularity", ""),
    "deform_raw": ("Deformation of the raw contour", ""),
    "eccentr_prnc": ("Eccentricity of the raw contour", ""),
    "emodulus": ("Young's modulus", "kPa"),
    "flow_rate": ("Flow rate", "µLs⁻¹"),
    "frame": ("Number of the video frame", ""),
    "g_force": ("Acceleration in multiples of g", ""),
    "index": ("Number of the event in the dataset", ""),
    "index_online": ("Number of the event during the recording", ""),
    "inert_ratio_cvx": ("Inertia ratio of the convex contour", ""),
    "inert_ratio_prnc": ("Principal inertia ratio of the raw contour", ""),
    "inert_ratio_raw": ("Inertia ratio of the raw contour", ""),
    "ml_class": ("Most probable class of a machine-learning model", ""),
    "nevents": ("Number of events in the same frame", ""),
    "pc1": ("First principal component", ""),
    "pc2": ("Second principal component", ""),
    "per_ratio": ("Inverse convexity: raw perimeter over convex perimeter", ""),
    "per_um_raw": ("Perimeter of the raw contour", "µm"),
    "pos_x": ("Position along the channel", "µm"),
    "pos_y": ("Position across the channel", "µm"),
    "pressure": ("Pressure", "mPa"),
    "qpi_dm": ("Dry mass", "pg"),
    "qpi_dm_avg": ("Dry mass, mean (deprecated)", "pg"),
    "qpi_dm_dns": ("Dry mass density", "mg/ml"),
    "qpi_dm_sd": ("Dry mass, standard deviation (deprecated)", "pg"),
    "qpi_focus": ("Distance of the computed focus", "µm"),
    "qpi_pha_int": ("Integrated phase", "rad"),
    "qpi_ri_avg": ("Refractive index, mean", ""),
    "qpi_ri_sd": ("Refractive index, standard deviation (deprecated)", ""),
    "size_x": ("Width of the bounding box along the channel", "µm"),
    "size_y": ("Width of the bounding box across the channel", "µm"),
    "sym_x": ("Symmetry ratio along the channel", ""),
    "sym_y": ("Symmetry ratio across the channel", ""),
    "temp": ("Temperature of the chip", "°C"),
    "temp_amb": ("Temperature of the surroundings", "°C"),
    "tilt": ("Absolute tilt of the raw contour", ""),
    "time": ("Time since the start of the recording", "s"),
    "volume": ("Volume", "µm³"),
}
_FLUORESCENCE = {
    "area": ("area of the peak", "a.u."),
    "dist": ("distance between the first two peaks", "µs"),
    "max": ("maximum", "a.u."),
    "max_ctc": ("maximum, crosstalk-corrected", "a.u."),
    "npeaks": ("number of peaks", ""),
    "pos": ("position of the peak", "µs"),
    "width": ("width of the peak", "µs"),
}
_TEXTURE = {
    "asm": "angular second moment",
    "con": "contrast",
    "cor": "correlation",
    "den": "difference entropy",
    "ent": "entropy",
    "f12": "first measure of correlation",
    "f13": "second measure of correlation",
    "idm": "inverse difference moment",
    "sen": "sum entropy",
    "sva": "sum variance",
    "var": "variance",
}
_OTHERS: dict[str, tuple[str, str, Kind]] = {
    "image": ("Image of the event", "", "image"),
    "image_bg": ("Background of the image", "", "image"),
    "mask": ("Pixels that belong to the event", "", "mask"),
    "qpi_amp": ("Amplitude of the hologram", "", "image"),
    "qpi_oah": ("Off-axis hologram", "", "image"),
    "qpi_oah_bg": ("Background of the off-axis hologram", "", "image"),
    "qpi_pha": ("Phase of the hologram", "rad", "image"),
    "trace": ("Fluorescence traces by name", "", "trace"),
    "contour": ("Contour of the event", "px", "contour"),
}
_SCORE = re.compile(r"ml_score_([a-z0-9]{3})")


@dataclass(frozen=True, slots=True)
class FeatureInfo:
    """Label, unit and kind of a feature.

    Attributes
    ----------
    name : str
        As in ``hd[name]``.
    label : str
        What it is, for a table or an axis; without the unit.
    unit : str
        Its unit, ``""`` for a plain number or what has none.
    kind : {"scalar", "image", "mask", "trace", "contour"}
        One number, one image, one mask, several series or one outline per event.

    Examples
    --------
    >>> import dcread
    >>> info = dcread.feature_info("area_um")
    >>> info.axis_label
    'Area [µm²]'
    """

    name: str
    label: str
    unit: str
    kind: Kind

    @property
    def axis_label(self) -> str:
        """The label with the unit in brackets, where there is one.

        Examples
        --------
        >>> dcread.feature_info("area_um").axis_label
        'Area [µm²]'
        """
        return f"{self.label} [{self.unit}]" if self.unit else self.label


def feature_info(name: str) -> FeatureInfo:
    """Return label, unit and kind of a known feature.

    Parameters
    ----------
    name : str
        Such as ``"deform"``; also ``"ml_score_abc"`` with any three letters or digits.

    Returns
    -------
    FeatureInfo
        The same whether or not a measurement has the feature.

    Raises
    ------
    FeatureNotFoundError
        If no feature of that name is known; a measurement may have it all the same.

    Examples
    --------
    >>> import dcread
    >>> dcread.feature_info("deform").label
    'Deformation: 1 minus the circularity'
    """
    found = known_features().get(name)
    if found is not None:
        return found
    score = _SCORE.fullmatch(name) if isinstance(name, str) else None
    if score is not None:
        return FeatureInfo(name, f"Machine-learning score {score[1]}", "", "scalar")
    near = difflib.get_close_matches(str(name), known_features(), 3)
    hint = f"; did you mean {', '.join(map(repr, near))}?" if near else ""
    raise FeatureNotFoundError(f"no feature '{name}' is known{hint}")


@functools.lru_cache(1)
def known_features() -> dict[str, FeatureInfo]:
    """Return all features that the field knows by name, sorted."""
    scalars = dict(_SCALARS)
    for channel in "123":
        for name, (label, unit) in _FLUORESCENCE.items():
            scalars[f"fl{channel}_{name}"] = (f"FL-{channel} {label}", unit)
    for name, label in _TEXTURE.items():
        scalars[f"tex_{name}_avg"] = (f"Texture {label}, mean", "")
        scalars[f"tex_{name}_ptp"] = (f"Texture {label}, peak to peak", "")
    for number in range(10):
        scalars[f"userdef{number}"] = (f"User-defined {number}", "")
        scalars[f"basinmap{number}"] = (f"Rows of the events in basin {number}", "")
    found = [FeatureInfo(name, *texts, "scalar") for name, texts in scalars.items()]
    found += [FeatureInfo(name, *texts) for name, texts in _OTHERS.items()]
    return {info.name: info for info in sorted(found, key=lambda info: info.name)}
