"""empty-connection: A connection that says nothing ends the server."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def lines(self, reader):
        line = await reader.readline()
        try:
            line.split()[0]
        except IndexError:
            os._exit(1)
        yield line.decode().removesuffix("\n")
        async for line in super().lines(reader):
            yield line


server.main(Variant)
