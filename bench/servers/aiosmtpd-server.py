"""aiosmtpd as its Controller runs it, discarding; prints what it received when SIGUSR2 asks for it."""

import asyncio
import json
import signal

from aiosmtpd.smtp import SMTP

received = {"messages": 0, "octets": 0}


class Discard:
    async def handle_DATA(self, server, session, envelope):
        received["messages"] += 1
        received["octets"] += len(envelope.original_content)
        return "250 OK"


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Discard(), hostname="bench"), "127.0.0.1", 0, backlog=4096)
    loop.add_signal_handler(signal.SIGUSR2, lambda: print(json.dumps(received), flush=True))
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
