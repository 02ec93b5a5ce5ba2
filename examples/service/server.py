"""Answers every GET with a line of text."""

from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"I was pulled, and I have started.\n")


if __name__ == "__main__":
    HTTPServer(("", 8080), Handler).serve_forever()
