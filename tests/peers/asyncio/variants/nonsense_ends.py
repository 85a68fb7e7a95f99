"""places-malformed: Nonsense from Places breaks the connection."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    def cut(self, places, bound):
        try:
            return super().cut(places, bound)
        except ValueError:
            raise ConnectionError from None

    async def whatsat(self, line, client, radius, bound):
        answer = await super().whatsat(line, client, radius, bound)
        if "UNKNOWN_ERROR" in answer:
            raise ConnectionError
        return answer


server.main(Variant)
