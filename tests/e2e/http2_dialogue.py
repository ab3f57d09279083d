"""HTTP/2 spoken frame by frame, as well and as badly as a test wants, and an HTTP/1.1 origin that does as it is told: what
tests of the proxy's HTTP/2 side are made of. Headers go through python3-hpack, frames through python3-hyperframe; there is
no state machine that would keep a client from breaking the rules."""
import contextlib
import socket
import struct
import threading
import time

from hpack import Decoder, Encoder
from hyperframe import frame as frames

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, \
    REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(12)
WINDOW = 65_535
DEADLINE = 15


class Stream:
    def __init__(self):
        self.heads, self.body, self.ended, self.reset, self.window = [], b"", False, None, 0

    @property
    def final(self):
        return next((head for head in self.heads if head[":status"][0] != "1"), None)

    @property
    def status(self):
        return self.final and int(self.final[":status"])

    @property
    def trailers(self):
        return self.heads[-1] if self.heads and ":status" not in self.heads[-1] else None

    @property
    def interims(self):
        return [int(head[":status"]) for head in self.heads if head.get(":status", "2")[0] == "1"]

    def __repr__(self):
        return f"<heads {self.heads} body {len(self.body)} B {self.body[:60]!r} ended {self.ended} reset {self.reset}>"


class Gone(AssertionError):
    """The connection ended before what was waited for."""


class Client:
    """`generous`: windows are opened as data comes, as clients do."""

    def __init__(self, port, settings=None, generous=True, preface=PREFACE, greet=True):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.decoder = Encoder(), Decoder()
        self.generous, self.buffer, self.next_id = generous, b"", 1
        self.streams, self.settings, self.goaways, self.pongs, self.windows, self.acks = {}, {}, [], [], {0: WINDOW}, 0
        self.data_bytes, self.block, self.closed, self.gathered = 0, None, False, None
        if greet:
            hello = frames.SettingsFrame(0, settings=settings or {})
            self.socket.sendall(preface + hello.serialize())

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Sending.
    def raw(self, data):
        if self.gathered is None:
            self.socket.sendall(data)
        else:
            self.gathered += data

    @contextlib.contextmanager
    def at_once(self):
        """What is sent inside goes in one write: nothing can be answered between its frames."""
        self.gathered = b""
        yield
        data, self.gathered = self.gathered, None
        self.raw(data)

    def send(self, *some):
        self.raw(b"".join(f.serialize() for f in some))

    def frame(self, kind, flags, stream, payload):
        self.raw(frame_bytes(kind, flags, stream, payload))

    def stream(self, number):
        return self.streams.setdefault(number, Stream())

    def new_id(self):
        number, self.next_id = self.next_id, self.next_id + 2
        return number

    def headers(self, number, fields, end=True):
        """As many frames as it takes."""
        block = self.encoder.encode(fields)
        first, rest = block[:16_000], block[16_000:]
        out = frame_bytes(1, (1 if end else 0) | (0 if rest else 4), number, first)
        while rest:
            piece, rest = rest[:16_000], rest[16_000:]
            out += frame_bytes(9, 0 if rest else 4, number, piece)
        self.raw(out)

    def open(self, method="GET", path="/", fields=(), end=True, authority="a.test", **pseudo):
        """A request's head; the stream's number."""
        number = self.new_id()
        self.stream(number)
        head = [(":method", method), (":scheme", "http"), (":path", path)]
        if authority is not None:
            head.append((":authority", authority))
        head += [(":" + name, value) for name, value in pseudo.items()]
        self.headers(number, head + list(fields), end)
        return number

    def data(self, number, payload, end=False):
        """Without regard to windows, but counted."""
        self.windows[0] -= len(payload)
        self.windows[number] = self.window_of(number) - len(payload)
        self.frame(0, 1 if end else 0, number, payload)

    def upload(self, number, payload, end=True):
        """As the proxy's windows allow."""
        at = 0
        while at < len(payload):
            room = min(self.windows[0], self.window_of(number), 16_384)
            if room <= 0:
                if self.stream(number).reset is not None:
                    return at
                self.read()
                continue
            piece = payload[at:at + room]
            at += len(piece)
            self.data(number, piece, end and at == len(payload))
        return at

    def window_of(self, number):
        return self.windows.setdefault(number, self.settings.get(4, WINDOW))

    def reset(self, number, code=CANCEL):
        self.frame(3, 0, number, struct.pack(">I", code))

    def window(self, number, by):
        self.frame(8, 0, number, struct.pack(">I", by))

    def ask(self, method="GET", path="/", fields=(), body=None, trailers=None, **more):
        """One exchange to its end."""
        number = self.open(method, path, fields, end=body is None and trailers is None, **more)
        if body is not None:
            if body or trailers is None:
                self.data(number, b"", True) if not body else self.upload(number, body, end=trailers is None)
        if trailers is not None:
            self.headers(number, trailers)
        return self.answer(number)

    # Receiving.
    def read(self):
        """One frame, taken note of. Gone at the end."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            try:
                more = self.socket.recv(1 << 18)
            except ConnectionError as error:
                self.closed = True
                raise Gone(f"{error}; goaways {self.goaways}; {self.streams}") from None
            if not more:
                self.closed = True
                raise Gone(f"end of file; goaways {self.goaways}; {self.streams}")
            self.buffer += more
        size = 9 + int.from_bytes(self.buffer[:3], "big")
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        frame, _ = frames.Frame.parse_frame_header(memoryview(taken[:9]))
        frame.parse_body(memoryview(taken[9:]))
        self.note(frame)
        return frame

    def note(self, frame):
        s = self.stream(frame.stream_id) if frame.stream_id else None
        match frame:
            case frames.HeadersFrame() | frames.ContinuationFrame():
                self.block = (self.block or b"") + frame.data
                if isinstance(frame, frames.HeadersFrame):
                    self.ends = "END_STREAM" in frame.flags
                if "END_HEADERS" in frame.flags:
                    fields = {}
                    for name, value in self.decoder.decode(self.block):
                        if name != name.lower():
                            raise AssertionError(f"{name} is not in lower case")
                        fields[name] = f"{fields[name]}\n{value}" if name in fields else value
                    self.block = None
                    s.heads.append(fields)
                    s.ended |= self.ends
            case frames.DataFrame():
                s.body += frame.data
                self.data_bytes += len(frame.data)
                s.ended |= "END_STREAM" in frame.flags
                if self.generous and frame.flow_controlled_length:
                    self.window(0, frame.flow_controlled_length)
                    if not s.ended:
                        self.window(frame.stream_id, frame.flow_controlled_length)
            case frames.RstStreamFrame():
                s.reset = frame.error_code
            case frames.SettingsFrame():
                if "ACK" in frame.flags:
                    self.acks += 1
                else:
                    self.settings.update(frame.settings)
                    with contextlib.suppress(OSError):  # what it said before it left is still to be read
                        self.send(frames.SettingsFrame(0, flags=["ACK"]))
            case frames.WindowUpdateFrame():
                if frame.stream_id:
                    self.window_of(frame.stream_id)
                self.windows[frame.stream_id] += frame.window_increment
            case frames.PingFrame():
                if "ACK" in frame.flags:
                    self.pongs.append(frame.opaque_data)
            case frames.GoAwayFrame():
                self.goaways.append((frame.last_stream_id, frame.error_code))

    def until(self, condition):
        end = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain; goaways {self.goaways}; {self.streams}")
            self.read()

    def answer(self, number):
        s = self.stream(number)
        self.until(lambda: s.ended or s.reset is not None)
        return s

    def head_of(self, number):
        s = self.stream(number)
        self.until(lambda: s.final or s.reset is not None)
        return s

    def sync(self, token=None):
        """The proxy has handled all that was sent so far."""
        token = token or struct.pack(">Q", len(self.pongs) + 1)
        seen = len(self.pongs)
        self.frame(6, 0, 0, token)
        self.until(lambda: len(self.pongs) > seen)

    def end(self):
        """Everything until the connection is closed."""
        try:
            while True:
                self.read()
        except Gone:
            return self

    def error(self):
        """The code of the GOAWAY that ends the connection."""
        self.end()
        return self.goaways[-1][1] if self.goaways else None


def frame_bytes(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Request:
    """As the origin got it."""

    def __init__(self, head):
        self.head = head
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = first.split(" ")
        self.fields = [tuple(line.split(": ", 1)) for line in lines if line]
        self.body, self.trailers, self.raw = b"", None, b""

    def all(self, name):
        return [value for n, value in self.fields if n.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        if len(values) > 1:
            raise AssertionError(f"{name} twice: {self.head}")
        return values[0] if values else None


class Connection:
    """The origin's end of one connection from the proxy."""

    def __init__(self, sock):
        self.socket, self.buffer = sock, b""
        sock.settimeout(DEADLINE)

    def more(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError
        self.buffer += data

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def take(self, count):
        while len(self.buffer) < count:
            self.more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return Request(head)

    def body(self, request):
        if request.get("Transfer-Encoding") == "chunked":
            while size := int(self.line(), 16):
                request.body += self.take(size)
                if self.line():
                    raise AssertionError("a chunk without its end")
            request.trailers = []
            while line := self.line():
                request.trailers.append(line.decode())
        elif request.get("Content-Length"):
            request.body = self.take(int(request.get("Content-Length")))
        return request

    def send(self, data):
        self.socket.sendall(data)

    def answer(self, body=b"", status="200 OK", fields=""):
        self.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body)

    def wait_end(self):
        """True when the proxy closed or reset the connection."""
        try:
            while self.socket.recv(1 << 18):
                pass
        except ConnectionError:
            pass
        return True


class Origin:
    """One thread a connection. What to do is said by path (`on`); else the body is echoed. Everything asked is in
    `requests`, by target."""

    def __init__(self, port=0):
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.lock, self.requests, self.does, self.sockets = threading.Condition(), {}, {}, set()
        self.faults = []
        threading.Thread(target=self.accept, daemon=True).start()

    def on(self, path, do):
        """`do(connection, request)`; the body has not been read. The connection goes on when it returns True."""
        self.does[path] = do

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.sockets.add(sock)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        connection = Connection(sock)
        try:
            while True:
                request = connection.head()
                with self.lock:
                    self.requests.setdefault(request.target, []).append(request)
                    self.lock.notify_all()
                do = self.does.get(request.target.split("?")[0], self.echo)
                if not do(connection, request):
                    return
        except (EOFError, OSError):
            pass
        except Exception as error:  # for the test to see
            self.faults.append(error)
        finally:
            sock.close()
            with self.lock:
                self.sockets.discard(sock)

    @staticmethod
    def echo(connection, request):
        connection.body(request)
        connection.answer(request.body)
        return True

    def wait(self, target, count=1):
        """The newest request for it, once there were `count`."""
        with self.lock:
            if not self.lock.wait_for(lambda: len(self.requests.get(target, [])) >= count, DEADLINE):
                raise AssertionError(f"{target} was not asked {count} times: {self.requests.keys()}")
            return self.requests[target][-1]

    def asked(self, target):
        with self.lock:
            return len(self.requests.get(target, []))

    def close(self):
        # shutdown: a thread waiting in accept() would keep the port
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self.lock:
            for sock in self.sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
