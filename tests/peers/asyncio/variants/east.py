"""whatsat-location: East longitudes lose their sign, and become west ones."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def look_up(self, location, radius):
        return await super().look_up(location.replace(",+", ",-"), radius)


server.main(Variant)
