"""whatsat-bound: The bound is checked, and not used."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    def cut(self, places, bound):
        return super().cut(places, 20)


server.main(Variant)
