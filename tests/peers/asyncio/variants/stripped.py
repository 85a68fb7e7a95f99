"""bytes-copied: A refused line is split and joined again."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    def refuse(self, line):
        return f"? {' '.join(line.split())}\n"


server.main(Variant)
