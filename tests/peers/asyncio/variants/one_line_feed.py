"""whatsat-two-line-feeds: An answer with places ends with one line feed."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def whatsat(self, line, client, radius, bound):
        answer = await super().whatsat(line, client, radius, bound)
        return answer.rstrip("\n") + "\n"


server.main(Variant)
