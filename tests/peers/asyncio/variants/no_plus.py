"""skew-sign: A skew that is not negative has no sign."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    def skew(self, seconds):
        return f"{seconds:.9f}"


server.main(Variant)
