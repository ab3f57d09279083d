"""A backend for load: GET /N answers N bytes of text, GET /chunked/N the same in chunks, anything with a body gets it back.
    origin.py PORT"""
import asyncio
import sys

TEXT = b"the quick brown fox jumps over the lazy dog, again and again. " * 16


def content(count):
    return (TEXT * (count // len(TEXT) + 1))[:count]


class Talk(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].decode("latin-1").split("\r\n")
            fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:])}
            taken = self.body(fields, end + 4)
            if taken is None:
                return
            body, after = taken
            self.buffer = self.buffer[after:]
            self.answer(*head[0].split(" ")[:2], body)

    def body(self, fields, at):
        """The body that begins there, and where it ends; nothing when it is not all here."""
        if fields.get("transfer-encoding") != "chunked":
            after = at + int(fields.get("content-length", 0))
            return (self.buffer[at:after], after) if len(self.buffer) >= after else None
        body = b""
        while (end := self.buffer.find(b"\r\n", at)) >= 0:
            size = int(self.buffer[at:end], 16)
            at = end + 2 + size + 2
            if len(self.buffer) < at:
                return None
            if not size:
                return body, at
            body += self.buffer[end + 2:at - 2]
        return None

    def answer(self, method, target, body):
        parts = target.split("?")[0].strip("/").split("/")
        if method in ("GET", "HEAD") and parts[-1].isdigit():
            body = content(int(parts[-1]))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
        if parts[0] == "chunked" and method == "GET":
            pieces = [body[i:i + 5000] for i in range(0, len(body), 5000)]
            framed = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\nX-Sum: 1\r\n\r\n"
            self.transport.write(head + b"Transfer-Encoding: chunked\r\n\r\n" + framed)
        else:
            self.transport.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + (b"" if method == "HEAD" else body))


async def main():
    server = await asyncio.get_running_loop().create_server(Talk, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
