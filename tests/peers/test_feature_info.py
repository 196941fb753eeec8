"""The features that dcread knows are those that dclab knows, in the same units."""

from __future__ import annotations

import re

from dclab import definitions

import dcread
from dcread.measurement.feature_info import known_features

UNIT = re.compile(r"\[(.*?)\]")


def test_same_names_kinds_and_units_as_dclab() -> None:
    scalar = [n for n in definitions.scalar_feature_names if "ml_score" not in n]
    others = [name for name, _ in definitions.feat_const.FEATURES_NON_SCALAR]
    known = known_features()
    assert set(known) == {*scalar, *others}
    for name in scalar:
        found = UNIT.findall(definitions.get_feature_label(name, with_unit=True))
        assert known[name].kind == "scalar"
        assert known[name].unit == (found[-1] if found else ""), name
    for name in others:
        assert known[name].kind != "scalar"
    assert dcread.feature_info("ml_score_abc").unit == ""
