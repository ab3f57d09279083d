"""A backend that speaks HTTP/2, frame by frame and as well or badly as a test wants. Headers go through python3-hpack, frames through
python3-hyperframe; there is no state machine that would keep it from breaking the rules."""
import contextlib
import json
import socket
import threading

from hpack import Decoder, Encoder
from hyperframe import frame as frames

from http2_dialogue import DEADLINE, PREFACE, WINDOW

CONNECT_PROTOCOL, MAX_STREAMS, INITIAL_WINDOW = 8, 3, 4


class Request:
    """One stream: what was asked, and how it is answered. Fields come as a dict of lists."""

    def __init__(self, connection, number):
        self.connection, self.number = connection, number
        self.fields, self.trailers, self.body, self.ended, self.reset, self.window = {}, {}, b"", False, None, connection.initial_window

    def __getitem__(self, name):
        values = self.fields.get(name, [])
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def path(self):
        return self[":path"]

    def until(self, condition, what):
        with self.connection.news:
            if not self.connection.news.wait_for(lambda: condition() or self.connection.over, DEADLINE) or not condition():
                raise AssertionError(f"{self.path}: {what} did not come")

    def whole(self):
        self.until(lambda: self.ended, "the end of the request")
        return self

    def head(self, status=200, fields=(), end=False):
        self.connection.headers(self.number, [(":status", str(status)), *fields], end)

    def data(self, payload=b"", end=False):
        self.connection.data(self, payload, end)

    def answer(self, body=b"", status=200, fields=(), trailers=None):
        self.head(status, [("content-length", str(len(body))), *fields] if trailers is None else fields, end=not body and trailers is None)
        if body:
            self.data(body, end=trailers is None)
        if trailers is not None:
            self.connection.headers(self.number, trailers, True)

    def refuse(self, code):
        self.connection.send(frames.RstStreamFrame(self.number, error_code=code))


class Connection:
    def __init__(self, origin, sock):
        self.origin, self.socket = origin, sock
        self.encoder, self.decoder, self.buffer, self.block = Encoder(), Decoder(), b"", None
        self.requests, self.windows, self.initial_window = {}, WINDOW, WINDOW
        self.over, self.news, self.writing = False, threading.Condition(), threading.RLock()

    def serve(self):
        try:
            while len(self.buffer) < len(PREFACE):
                self.more()
            assert self.buffer.startswith(PREFACE), self.buffer[:60]
            self.buffer = self.buffer[len(PREFACE):]
            self.send(frames.SettingsFrame(0, settings=self.origin.settings))
            while True:
                self.note(self.read())
        except (OSError, EOFError):
            pass
        finally:
            with self.news:
                self.over = True
                self.news.notify_all()
            self.socket.close()

    def more(self):
        got = self.socket.recv(65536)
        if not got:
            raise EOFError
        self.buffer += got

    def read(self):
        while len(self.buffer) < 9:
            self.more()
        frame, size = frames.Frame.parse_frame_header(memoryview(self.buffer[:9]))
        while len(self.buffer) < 9 + size:
            self.more()
        frame.parse_body(memoryview(self.buffer[9:9 + size]))
        self.buffer = self.buffer[9 + size:]
        return frame

    def note(self, frame):
        with self.news:
            start = self.take(frame)
            self.news.notify_all()
        if start:
            threading.Thread(target=self.origin.run, args=(start,), daemon=True).start()

    def take(self, frame):
        if isinstance(frame, frames.SettingsFrame) and "ACK" not in frame.flags:
            self.initial_window = frame.settings.get(INITIAL_WINDOW, WINDOW)
            self.send(frames.SettingsFrame(0, flags=["ACK"]))
        if isinstance(frame, frames.PingFrame) and "ACK" not in frame.flags:
            self.send(frames.PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
        if isinstance(frame, frames.WindowUpdateFrame):
            if frame.stream_id == 0:
                self.windows += frame.window_increment
            elif frame.stream_id in self.requests:
                self.requests[frame.stream_id].window += frame.window_increment
        if isinstance(frame, frames.RstStreamFrame) and frame.stream_id in self.requests:
            self.requests[frame.stream_id].reset = frame.error_code
        if isinstance(frame, (frames.HeadersFrame, frames.ContinuationFrame)):
            return self.take_head(frame)
        if isinstance(frame, frames.DataFrame):
            request = self.requests[frame.stream_id]
            request.body += frame.data
            request.ended |= "END_STREAM" in frame.flags
            if frame.data and self.origin.generous:
                self.send(frames.WindowUpdateFrame(0, window_increment=len(frame.data)),
                          frames.WindowUpdateFrame(frame.stream_id, window_increment=len(frame.data)))
        return None

    def take_head(self, frame):
        if isinstance(frame, frames.HeadersFrame):
            self.block = (frame.stream_id, b"", "END_STREAM" in frame.flags)
        number, block, ended = self.block
        self.block = (number, block + frame.data, ended)
        if "END_HEADERS" not in frame.flags:
            return None
        first = number not in self.requests
        request = self.requests.setdefault(number, Request(self, number)) if first else self.requests[number]
        for name, value in self.decoder.decode(self.block[1]):
            (request.fields if first else request.trailers).setdefault(name, []).append(value)
        request.ended |= ended
        return request if first else None

    def send(self, *some):
        with self.writing:
            self.socket.sendall(b"".join(frame.serialize() for frame in some))

    def headers(self, number, fields, end):
        with self.writing:
            flags = ["END_HEADERS"] + (["END_STREAM"] if end else [])
            self.send(frames.HeadersFrame(number, data=self.encoder.encode(fields), flags=flags))

    def data(self, request, payload, end):
        while True:
            with self.news:
                if payload and not self.news.wait_for(lambda: self.over or (self.windows > 0 and request.window > 0) or request.reset is not None,
                                                      DEADLINE):
                    raise AssertionError("the windows stayed closed")
                if self.over or request.reset is not None:
                    return
                size = min(len(payload), self.windows, request.window, 16384)
                self.windows -= size
                request.window -= size
            piece, payload = payload[:size], payload[size:]
            self.send(frames.DataFrame(request.number, data=piece, flags=["END_STREAM"] if end and not payload else []))
            if not payload:
                return

    def goaway(self, last, code=0):
        self.send(frames.GoAwayFrame(0, last_stream_id=last, error_code=code))

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class Origin:
    """`on(path, do)` answers what begins with the path; anything else is told what it asked."""

    def __init__(self, settings=None, tls=None):
        self.settings, self.generous, self.tls = settings or {}, True, tls
        self.connections, self.requests, self.handlers, self.failures = [], [], {}, []
        self.news = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def on(self, path, do):
        self.handlers[path] = do

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                threading.Thread(target=self.welcome, args=(sock,), daemon=True).start()

    def welcome(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:
            try:
                sock = self.tls.wrap_socket(sock, server_side=True)
            except OSError:
                return
        connection = Connection(self, sock)
        self.connections.append(connection)
        with contextlib.suppress(OSError, EOFError):
            self.greeted(connection)

    def greeted(self, connection):
        connection.serve()

    def run(self, request):
        with self.news:
            self.requests.append(request)
            self.news.notify_all()
        do = next((do for path, do in self.handlers.items() if request.path.startswith(path)), tell)
        try:
            do(request)
        except OSError:
            pass
        except Exception as failure:  # told by the test's end
            self.failures.append(f"{request.path}: {failure!r}")

    def asked(self, path, count=1):
        """Waits for so many requests of that path, and gives the last."""
        with self.news:
            found = lambda: [r for r in self.requests if r.path == path]
            if not self.news.wait_for(lambda: len(found()) >= count, DEADLINE):
                raise AssertionError(f"{path} was asked {len(found())} times; asked were {[r.path for r in self.requests]}")
            return found()[count - 1]

    def close(self):
        self.listener.close()
        for connection in self.connections:
            connection.close()


def tell(request):
    request.whole()
    told = {"fields": request.fields, "trailers": request.trailers, "body": request.body.decode("latin-1")}
    request.answer(json.dumps(told).encode(), fields=[("content-type", "application/json")])
