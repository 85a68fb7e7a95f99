"""whatsat-radius-metres: Places is asked for kilometres."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    def metres(self, radius):
        return float(radius)


server.main(Variant)
