"""Run the examples of the pages that draw, here, so that each figure is what its page executes.

`make figures` calls it. Bytes are the same in every run with the same matplotlib.
"""

import os
import re
from pathlib import Path

import matplotlib as mpl

HERE = Path(__file__).parent


def main() -> None:
    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "mor"
    os.chdir(HERE)
    for page in sorted(HERE.parent.glob("*.md")):
        for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.S):
            if "savefig(" in code:
                exec(compile(code, page.name, "exec"), {})


if __name__ == "__main__":
    main()
