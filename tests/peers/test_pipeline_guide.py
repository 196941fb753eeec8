"""The scripts of the guide on pipelines, with dcread and without: equal outputs."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
from typing import Any

import pytest

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "how-to" / "run-pipelines.md"
SOURCE = "cytoshot_full-features_2023.rtdc"
SWAP = "dcread.install_as_dcnum_read()"
ARGUMENTS = {"dcnum": [], "chipstream": ["--num-cpus", "2"]}
SAYS = """
    import pathlib, sys
    used = "dcread.images.image_cache" in sys.modules
    pathlib.Path("used.txt").write_text(str(used))
"""


def script_of(package: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    (found,) = [block for block in blocks if f"from {package}." in block]
    assert SWAP in found
    return found


@pytest.mark.slow
@pytest.mark.parametrize("package", ARGUMENTS)
def test_outputs_are_equal(
    package: str,
    data_dir: pathlib.Path,
    tmp_path: pathlib.Path,
    run_script: Any,
    describe_file: Any,
) -> None:
    pytest.importorskip(package)
    shutil.copyfile(data_dir / SOURCE, tmp_path / "measurement.rtdc")
    found = {}
    for reader in ("dcread", "dcnum.read"):
        text = script_of(package)
        if reader == "dcnum.read":
            text = text.replace(SWAP, "contextlib.nullcontext()")
            text = text.replace("import dcread\n", "import contextlib\n")
        script = tmp_path / f"{reader}.py"
        ends = package == "dcnum"  # (ChipStream exits by itself)
        script.write_text(text + (SAYS if ends else ""))
        out = tmp_path / reader / "processed.rtdc"
        out.parent.mkdir()
        run_script(script, *ARGUMENTS[package], "measurement.rtdc", out)
        found[reader] = describe_file(out)
        if ends:
            used = (tmp_path / "used.txt").read_text()
            assert used == str(reader == "dcread")
    ours, theirs = found["dcread"], found["dcnum.read"]
    assert sorted(ours) == sorted(theirs)
    assert [key for key in theirs if ours[key] != theirs[key]] == []
    assert len(json.loads(json.dumps(theirs["event names"]))) > 40
    assert theirs["events/deform"][0][0] > 5
