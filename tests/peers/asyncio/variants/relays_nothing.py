"""flooding: Only what clients say is told, and nothing is passed on."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def flood(self, at):
        if at.split()[1] == self.name:
            await super().flood(at)


server.main(Variant)
