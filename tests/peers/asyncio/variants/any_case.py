"""lower-case: Commands in lower case are taken."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    def command(self, fields):
        return fields[0].upper() if fields else ""


server.main(Variant)
