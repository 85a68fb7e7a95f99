"""at-bytes-kept: Locations go through floats, so that digits are lost."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    def at(self, client, location, sent, skew):
        latitude, longitude = map(float, self.location(location))
        return super().at(client, f"{latitude:+}{longitude:+}", sent, skew)


server.main(Variant)
