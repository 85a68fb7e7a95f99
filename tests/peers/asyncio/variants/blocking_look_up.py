"""places-slow-blocks-nobody: The look-up blocks all other clients."""

import pathlib
import sys
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def look_up(self, location, radius):
        query = urllib.parse.urlencode({"location": location, "radius": radius})
        with urllib.request.urlopen(f"{self.places}?{query}") as answer:
            return answer.read().decode()


server.main(Variant)
