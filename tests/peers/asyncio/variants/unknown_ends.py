"""unknown-client: A WHATSAT about an unknown client breaks the connection."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def whatsat(self, line, client, radius, bound):
        if not self.is_query(radius, bound):
            return self.refuse(line)
        try:
            self.clients[client]
        except KeyError:
            raise ConnectionError from None
        return await super().whatsat(line, client, radius, bound)


server.main(Variant)
