"""The demo lies at the repository's root, which isn't among the folders that tests import from."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3]))
