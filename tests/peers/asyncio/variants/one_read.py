"""lines-joined: What one read brings is taken for a line."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def lines(self, reader):
        while data := await reader.read(4096):
            yield data.decode().split("\n")[0]


server.main(Variant)
