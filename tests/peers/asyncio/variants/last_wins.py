"""older-changes-nothing: The last line that arrives wins, whatever its time."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    def is_new(self, client, sent):
        return client not in self.clients or self.clients[client][0] != sent


server.main(Variant)
