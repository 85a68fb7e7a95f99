"""An application server herd: a solution of the course's project, as a student would hand it in.

    python3 server.py NAME --ports NAME=PORT,… [--links A-B,…] [--places URL]

It works, and it has the weaknesses that such solutions usually have. README.md lists them. They
are on purpose: the report card of `herd check` is tried on this server.
"""

import argparse
import asyncio
import json
import math
import re
import time
import urllib.parse

LINKS = "Riley-Jaquez,Riley-Juzang,Bernard-Jaquez,Bernard-Juzang,Bernard-Campbell,Juzang-Campbell"
LOCATION = re.compile(r"([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)")


class Server:
    def __init__(self, name, ports, links, places):
        self.name = name
        self.ports = ports
        self.places = places
        pairs = [link.split("-") for link in links.split(",")]
        self.neighbours = [b if a == name else a for a, b in pairs if name in (a, b)]
        self.clients = {}  # id -> (time, AT line, location)
        self.tasks = set()

    async def run(self):
        server = await asyncio.start_server(self.talk, "127.0.0.1", self.ports[self.name], backlog=500)
        async with server:
            await server.serve_forever()

    # Connections

    async def talk(self, reader, writer):
        """Serves one connection, of a client or of another server."""
        try:
            async for line in self.lines(reader):
                answer = await self.handle(line)
                if answer is not None:
                    writer.write(answer.encode())
                    await writer.drain()
        except (ConnectionError, UnicodeDecodeError, ValueError):
            pass
        finally:
            writer.close()

    async def lines(self, reader):
        while line := await reader.readline():
            yield line.decode().removesuffix("\n")

    async def handle(self, line):
        """The answer to a line; None for a line of another server."""
        fields = line.split()
        command = self.command(fields)
        if command == "IAMAT" and len(fields) == 4:
            answer = await self.iamat(line, *fields[1:])
        elif command == "WHATSAT" and len(fields) == 4:
            answer = await self.whatsat(line, *fields[1:])
        elif command == "AT" and len(fields) == 6:
            await self.learn(" ".join(fields))
            answer = None
        else:
            answer = self.refuse(line)
        return answer

    def command(self, fields):
        return fields[0] if fields else ""

    def refuse(self, line):
        return f"? {line}\n"

    # IAMAT

    async def iamat(self, line, client, location, sent):
        if self.location(location) is None or self.time(sent) is None:
            return self.refuse(line)
        skew = self.skew(time.time() - self.time(sent))
        at = self.at(client, location, sent, skew)
        await self.learn(at)
        return at + "\n"

    def at(self, client, location, sent, skew):
        return f"AT {self.name} {skew} {client} {location} {sent}"

    def skew(self, seconds):
        return f"{seconds:+.9f}"

    def location(self, text):
        """Latitude and longitude, as text."""
        found = LOCATION.fullmatch(text)
        return found.groups() if found else None

    def time(self, text):
        try:
            seconds = float(text)
        except ValueError:
            return None
        return seconds if math.isfinite(seconds) else None

    # The herd

    async def learn(self, at):
        """Stores an update and passes it on, if it is newer than what is known."""
        _, _, _, client, location, sent = at.split()
        if self.is_new(client, self.time(sent)):
            self.clients[client] = (self.time(sent), at, location)
            await self.flood(at)

    def is_new(self, client, sent):
        return client not in self.clients or self.clients[client][0] < sent

    async def flood(self, at):
        for neighbour in self.neighbours:
            # A slow neighbour must not delay the others.
            task = asyncio.create_task(self.tell(neighbour, at))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def tell(self, neighbour, at):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.ports[neighbour])
            writer.write(at.encode() + b"\n")
            await writer.drain()
            writer.close()
        except OSError:
            pass  # It is down. It hears of the next update.

    # WHATSAT

    async def whatsat(self, line, client, radius, bound):
        if client not in self.clients or not self.is_query(radius, bound):
            return self.refuse(line)
        _, at, location = self.clients[client]
        latitude, longitude = self.location(location)
        try:
            places = await self.look_up(f"{latitude},{longitude}", self.metres(radius))
            return at + "\n" + self.cut(places, int(bound)) + "\n\n"
        except (OSError, ValueError, LookupError):
            nothing = {"results": [], "status": "UNKNOWN_ERROR"}
            return at + "\n" + json.dumps(nothing, indent=3) + "\n\n"

    def is_query(self, radius, bound):
        try:
            return 0 <= float(radius) <= 50 and 0 <= int(bound) <= 20
        except ValueError:
            return False

    def metres(self, radius):
        return float(radius) * 1000

    def cut(self, places, bound):
        found = json.loads(places)
        found["results"] = found["results"][:bound]
        return json.dumps(found, indent=3)

    async def look_up(self, location, radius):
        url = urllib.parse.urlsplit(self.places)
        query = urllib.parse.urlencode({"location": location, "radius": radius, "key": "none"})
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(f"GET {url.path}?{query} HTTP/1.0\r\nHost: {url.hostname}\r\n\r\n".encode())
        head, body = (await reader.read()).split(b"\r\n\r\n", 1)
        writer.close()
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise OSError("Places is broken")
        return body.decode()


def main(kind=Server):
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--ports", required=True)
    parser.add_argument("--links", default=LINKS)
    parser.add_argument("--places", default="http://127.0.0.1:1/")
    args = parser.parse_args()
    ports = dict(pair.split("=") for pair in args.ports.split(","))
    asyncio.run(kind(args.name, ports, args.links, args.places).run())


if __name__ == "__main__":
    main()
