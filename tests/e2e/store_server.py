"""A small stateful service for the end-to-end tests that need many of them: one file an item below --data.

PUT, GET and DELETE /NAME; GET /health. An item is there, whole, before its PUT is answered. Like many a real service it
sets up an empty directory by itself, which is exactly what a recovery must never let happen to known data.
"""
import argparse
import os
import socketserver
from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write an answer
    disable_nagle_algorithm = True

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def path_of_item(self):
        return os.path.join(self.server.data, os.path.basename(self.path.split("?")[0]))

    def do_GET(self):
        if self.path == "/health":
            return self.answer(200, b"ok\n")
        try:
            with open(self.path_of_item(), "rb") as file:
                self.answer(200, file.read())
        except (FileNotFoundError, IsADirectoryError):
            self.answer(404, b"no such item\n")

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = self.path_of_item()
        part = f"{path}.{os.getpid()}-{id(self)}.part"
        with open(part, "wb") as file:
            file.write(body)
        os.rename(part, path)
        self.answer(201)

    def do_DELETE(self):
        try:
            os.unlink(self.path_of_item())
            self.answer(204)
        except FileNotFoundError:
            self.answer(404, b"no such item\n")

    def log_message(self, form, *args):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", required=True)
    options = parser.parse_args()
    os.makedirs(options.data, exist_ok=True)
    with Server(("127.0.0.1", options.port), Handler) as server:
        server.data = options.data
        server.serve_forever()


if __name__ == "__main__":
    main()
