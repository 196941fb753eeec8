"""Write the Python of the README to a file, so that a type checker can read it.

usage: python tests/typing/readme.py TARGET
"""

import pathlib
import re
import sys

README = pathlib.Path(__file__).parents[2] / "README.md"
blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
if not blocks:
    sys.exit("README.md has no Python")
target = pathlib.Path(sys.argv[1])
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text("\n\n".join(blocks), encoding="utf-8")
