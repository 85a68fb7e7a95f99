"""answers-in-order: Each line has a task, which answers when it is ready."""

import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server


class Variant(server.Server):
    async def talk(self, reader, writer):
        async with asyncio.TaskGroup() as tasks:
            async for line in self.lines(reader):
                tasks.create_task(self.answer(writer, line))
        writer.close()

    async def answer(self, writer, line):
        answer = await self.handle(line)
        if answer is not None:
            writer.write(answer.encode())


server.main(Variant)
