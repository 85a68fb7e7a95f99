"""dead-server: The first neighbour that is down ends the flood."""

import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def flood(self, at):
        task = asyncio.create_task(self.tell_all(at))
        self.tasks.add(task)

    async def tell_all(self, at):
        for neighbour in self.neighbours:
            _, writer = await asyncio.open_connection("127.0.0.1", self.ports[neighbour])
            writer.write(at.encode() + b"\n")
            await writer.drain()
            writer.close()


server.main(Variant)
