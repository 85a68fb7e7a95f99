"""frozen-neighbour: An IAMAT is answered when all neighbours have said that they know it."""

import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def handle(self, line):
        answer = await super().handle(line)
        return "thanks\n" if answer is None else answer

    async def flood(self, at):
        origin = at.split()[1] == self.name
        told = asyncio.gather(*(self.tell(neighbour, at) for neighbour in self.neighbours))
        if origin:
            await told

    async def tell(self, neighbour, at):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[neighbour])
            writer.write(at.encode() + b"\n")
            await reader.readline()
            writer.close()
        except OSError:
            pass


server.main(Variant)
