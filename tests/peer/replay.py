"""A server that is not ours, for what others wrote: it answers each HTTP request with bytes of the test's choosing, whole
or one at a time, and keeps what it was asked."""

import http.server
import re
import socket
import threading
import time


class ReplayServer:
    """On a free port of 127.0.0.1. Each of `answers` is for one request, the last for all that follow: a function of the
    request (its body) that gives the whole answer, head included. `piece`: bytes a write; 0 is all at once."""

    def __init__(self, *answers, piece=0, delay=0.0):
        self.answers, self.piece, self.delay = list(answers), piece, delay
        self.requests = []  # (path, header fields, body)
        replay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                replay.requests.append((self.path, self.headers, body))
                given = replay.answers[min(len(replay.requests), len(replay.answers)) - 1]
                replay.send(self.wfile, given(body))
                self.close_connection = True

            do_GET = do_POST

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # the tool under test may hang up whenever it likes

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def send(self, out, answer):
        step = self.piece or max(1, len(answer))
        for at in range(0, len(answer), step):
            out.write(answer[at:at + step])
            out.flush()
            if self.delay:
                time.sleep(self.delay)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/service"

    def message_ids(self):
        return [message_id(body) for _, _, body in self.requests]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


def message_id(request):
    return re.search(rb"<wsa:MessageID>([^<]+)</wsa:MessageID>", request)[1]


def answer(status, content_type, body, chunked=False):
    """The bytes of an answer."""
    head = f"HTTP/1.1 {status} Replayed\r\nContent-Type: {content_type}\r\nConnection: close\r\n".encode()
    if not chunked:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    pieces = [body[at:at + 1000] for at in range(0, len(body), 1000)]
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def related(message, request):
    """A sample as an answer to this request: only what wsa:RelatesTo says is changed."""
    return re.sub(rb"(RelatesTo[^>]*>)[^<]*(<)", lambda match: match[1] + message_id(request) + match[2], message)
