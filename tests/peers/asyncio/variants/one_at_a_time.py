"""half-line-held,never-reads,crowd: One client is served after the other."""

import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def talk(self, reader, writer):
        if not hasattr(self, "turn"):
            self.turn = asyncio.Lock()
        async with self.turn:
            await super().talk(reader, writer)


server.main(Variant)
