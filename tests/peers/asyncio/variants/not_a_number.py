"""time-not-finite: Whatever the language takes for a float is a time."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    def time(self, text):
        try:
            return float(text)
        except ValueError:
            return None


server.main(Variant)
