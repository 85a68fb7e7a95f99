"""many-on-one-connection: The connection is closed after one answer."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def lines(self, reader):
        yield (await reader.readline()).decode().removesuffix("\n")


server.main(Variant)
