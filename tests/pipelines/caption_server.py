"""A chat-completions endpoint on loopback that answers as it is told, and keeps what it was asked."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def completion(text, **changes):
    """A body as OpenAI's API gives it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 120, "completion_tokens": 7, "total_tokens": 127}
    return {
        "id": "x",
        "object": "chat.completion",
        "model": "tiny-vl-1",
        "choices": [choice],
        "usage": usage,
        **changes,
    }


class Server:
    """Context: runs on a free port of 127.0.0.1."""

    def __init__(self, *answers):
        """answers: (status, body, headers) one after the other; the last again and again. A str is a good caption."""
        self.answers = list(answers)
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["Content-Length"])
                outer.asked.append((self.path, dict(self.headers), json.loads(self.rfile.read(length))))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                status, body, headers = (200, completion(answer), {}) if isinstance(answer, str) else answer
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST

            def log_message(self, *args):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()
