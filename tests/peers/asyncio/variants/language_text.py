"""whatsat-json: The answer has the language's own text of a dictionary."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    def cut(self, places, bound):
        return str(json.loads(super().cut(places, bound)))


server.main(Variant)
