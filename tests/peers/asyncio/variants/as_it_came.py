"""whatsat-blank-lines: The text of Places is passed on with its blank lines."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    def cut(self, places, bound):
        return places.rstrip("\n")


server.main(Variant)
