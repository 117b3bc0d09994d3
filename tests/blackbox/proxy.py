"""TCP between nodes that can be cut one way: nothing passes, and nothing is closed.

Each node dials each other one through a listener of its own here (`dial_instead`).
"""
import asyncio
import threading


class Proxies:
    def __init__(self, targets, ports):
        """targets: (from, to) -> port of `to`; ports: (from, to) -> port to listen at."""
        self._targets, self._ports = targets, ports
        self._blocked = set()  # of (sender, receiver)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def start(self):
        self._thread.start()
        if not self._ready.wait(10):
            raise OSError("the proxies do not listen")

    def cut(self, node, outgoing, incoming):
        pairs = {(a, b) for a, b in self._targets if outgoing and a == node or incoming and b == node}
        self._loop.call_soon_threadsafe(self._blocked.update, pairs)

    def heal(self):
        self._loop.call_soon_threadsafe(self._blocked.clear)

    def stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        for pair, port in self._ports.items():
            self._loop.run_until_complete(asyncio.start_server(self._handler(pair), "127.0.0.1", port))
        self._ready.set()
        self._loop.run_forever()

    def _handler(self, pair):
        async def handle(reader, writer):
            try:
                there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._targets[pair])
            except OSError:
                writer.close()
                return
            await asyncio.gather(self._pump(pair, reader, there_writer),
                                 self._pump(pair[::-1], there_reader, writer))
        return handle

    async def _pump(self, direction, reader, writer):
        try:
            while data := await reader.read(1 << 16):
                while direction in self._blocked:
                    await asyncio.sleep(0.02)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
