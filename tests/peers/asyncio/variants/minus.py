"""location-hemispheres: The location is split at its minus."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    def location(self, text):
        latitude, minus, longitude = text.partition("-")
        try:
            float(latitude), float(longitude)
        except ValueError:
            return None
        return (latitude, minus + longitude) if text[0] in "+-" else None


server.main(Variant)
