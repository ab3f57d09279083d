"""gRPC through the proxy, with a real server and a real client of it: all four kinds of call, errors in trailers, cancellation."""
import json
import queue
import shutil
import subprocess
import tempfile
import threading
import unittest
from concurrent import futures
from pathlib import Path

import grpc
import harness
from harness import free_port, wait_for

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def same(message):
    return message


class Service:
    def __init__(self):
        self.cancelled = threading.Event()

    def handlers(self):
        kinds = {"Echo": (grpc.unary_unary_rpc_method_handler, self.echo), "Fail": (grpc.unary_unary_rpc_method_handler, self.fail),
                 "Wait": (grpc.unary_unary_rpc_method_handler, self.wait), "Count": (grpc.unary_stream_rpc_method_handler, self.count),
                 "Join": (grpc.stream_unary_rpc_method_handler, self.join), "Upper": (grpc.stream_stream_rpc_method_handler, self.upper)}
        return grpc.method_handlers_generic_handler("test.Test", {name: make(do, same, same) for name, (make, do) in kinds.items()})

    def echo(self, request, context):
        context.set_trailing_metadata((("x-size", str(len(request))),))
        return request

    def fail(self, request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "there is no such thing")

    def wait(self, request, context):
        context.add_callback(self.cancelled.set)
        self.cancelled.wait(harness.PATIENCE)
        return b"late"

    def count(self, request, context):
        for i in range(int(request)):
            yield str(i).encode()

    def join(self, requests, context):
        return b"".join(requests)

    def upper(self, requests, context):
        for request in requests:
            yield request.upper()


class Grpc(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = Path(tempfile.mkdtemp(prefix="regrow-grpc-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.service = Service()
        cls.server = grpc.server(futures.ThreadPoolExecutor(8), options=UNLIMITED)
        cls.server.add_generic_rpc_handlers((cls.service.handlers(),))
        backend = f"127.0.0.1:{cls.server.add_insecure_port('127.0.0.1:0')}"
        cls.server.start()
        cls.addClassCleanup(lambda: cls.server.stop(None))
        port, admin = free_port(), free_port()
        config = {"workers": 1, "state_dir": str(cls.dir / "state"), "admin": {"listen": f"127.0.0.1:{admin}"},
                  "listeners": [{"listen": f"127.0.0.1:{port}", "h2c": True, "routes": [{"pool": "app"}]}],
                  "pools": {"app": {"data": "none", "http": 2, "check": "tcp", "backends": [{"name": "one", "address": backend}]}}}
        (cls.dir / "regrow.json").write_text(json.dumps(config))
        with open(cls.dir / "log", "wb") as log:
            cls.proxy = subprocess.Popen([harness.REGROW, "run", "-c", str(cls.dir / "regrow.json")], stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=log)
        cls.addClassCleanup(cls.proxy.wait)
        cls.addClassCleanup(cls.proxy.kill)

        def serving():
            if cls.proxy.poll() is not None:
                raise AssertionError(harness.read_text(cls.dir / "log"))
            return harness.request(admin, "GET", "/readyz").status == 200
        wait_for(serving, "the proxy to serve")
        cls.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED)
        cls.addClassCleanup(cls.channel.close)

    def call(self, kind, name):
        return getattr(self.channel, kind)(f"/test.Test/{name}", same, same)

    def test_one_message_each_way_and_metadata(self):
        answer, call = self.call("unary_unary", "Echo").with_call(b"hello", timeout=harness.PATIENCE)
        self.assertEqual((answer, dict(call.trailing_metadata())["x-size"]), (b"hello", "5"))

    def test_messages_larger_than_every_window(self):
        message = bytes(range(256)) * 12_000
        self.assertTrue(self.call("unary_unary", "Echo")(message, timeout=harness.PATIENCE) == message)

    def test_streams(self):
        self.assertEqual(list(self.call("unary_stream", "Count")(b"100", timeout=harness.PATIENCE)), [str(i).encode() for i in range(100)])
        self.assertEqual(self.call("stream_unary", "Join")(iter([b"a", b"b", b"c"]), timeout=harness.PATIENCE), b"abc")

    def test_a_conversation(self):
        says = queue.Queue()
        hears = self.call("stream_stream", "Upper")(iter(says.get, None), timeout=harness.PATIENCE)
        for word in (b"one", b"two", b"three"):
            says.put(word)
            self.assertEqual(next(hears), word.upper())
        says.put(None)
        self.assertEqual(list(hears), [])

    def test_an_error_is_in_the_trailers(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.call("unary_unary", "Fail")(b"", timeout=harness.PATIENCE)
        self.assertEqual((caught.exception.code(), caught.exception.details()), (grpc.StatusCode.NOT_FOUND, "there is no such thing"))

    def test_who_gives_up_is_heard_of(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.call("unary_unary", "Wait")(b"", timeout=0.5)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertTrue(self.service.cancelled.wait(harness.PATIENCE))


if __name__ == "__main__":
    unittest.main()
