"""whatsat-elsewhere: A WHATSAT is answered with the name of the server that is asked."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def whatsat(self, line, client, radius, bound):
        answer = await super().whatsat(line, client, radius, bound)
        word, _, rest = answer.split(" ", 2)
        return f"AT {self.name} {rest}" if word == "AT" else answer


server.main(Variant)
