"""restarted-takes-part: A neighbour is dialled once, and never again."""

import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def tell(self, neighbour, at):
        if not hasattr(self, "writers"):
            self.writers = {}
        if neighbour not in self.writers:
            dialled = asyncio.open_connection("127.0.0.1", self.ports[neighbour])
            self.writers[neighbour] = asyncio.ensure_future(dialled)
        try:
            _, writer = await self.writers[neighbour]
            writer.write(at.encode() + b"\n")
            await writer.drain()
        except OSError:
            pass


server.main(Variant)
