"""garbage,still-runs: Bytes that are no text end the server."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def lines(self, reader):
        try:
            async for line in super().lines(reader):
                yield line
        except UnicodeDecodeError:
            os._exit(1)


server.main(Variant)
