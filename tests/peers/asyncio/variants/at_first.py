"""whatsat-written-whole: The AT line is written before the look-up."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def talk(self, reader, writer):
        async for line in self.lines(reader):
            fields = line.split()
            known = self.clients.get(fields[1]) if fields[:1] == ["WHATSAT"] else None
            if known:
                writer.write(known[1].encode() + b"\n")
                await writer.drain()
            answer = await self.handle(line)
            if answer is not None:
                writer.write((answer.split("\n", 1)[1] if known else answer).encode())
        writer.close()


server.main(Variant)
