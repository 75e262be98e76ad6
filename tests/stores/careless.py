#!/usr/bin/python3
"""A store that no broker may run on, in one of several ways:

  careless.py PORT [ignores-if-none-match] [ignores-range] [read-only]

Buckets and objects live in memory; signatures are not looked at. Without a flaw it is a store like any
other, which is how the tests know that a refusal is because of the flaw.
"""
import re
import sys
import threading
import urllib.parse
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FLAWS = ("ignores-if-none-match", "ignores-range", "read-only")
objects = {}
objects_lock = threading.Lock()
flaws = ()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PUT(self):
        body = self._body()
        key = self._key()
        if "/" not in key or key.endswith("/"):
            return self._answer(200)
        if "read-only" in flaws:
            return self._refuse(403, "AccessDenied")
        condition = self.headers.get("If-None-Match") == "*" and "ignores-if-none-match" not in flaws
        with objects_lock:
            if condition and key in objects:
                return self._refuse(412, "PreconditionFailed")
            objects[key] = body
        return self._answer(200, ETag=f'"{md5(body).hexdigest()}"')

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query, keep_blank_values=True)
        if "list-type" in query:
            return self._list(query)
        with objects_lock:
            body = objects.get(self._key())
        if body is None:
            return self._refuse(404, "NoSuchKey")
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not wanted or "ignores-range" in flaws:
            return self._answer(200, body)
        first, last = int(wanted[1]), min(int(wanted[2]), len(body) - 1)
        if first >= len(body):
            return self._refuse(416, "InvalidRange")
        return self._answer(206, body[first:last + 1], **{"Content-Range": f"bytes {first}-{last}/{len(body)}"})

    def do_HEAD(self):
        with objects_lock:
            body = objects.get(self._key())
        if body is None:
            return self._answer(404)
        return self._answer(200, body)

    def do_DELETE(self):
        with objects_lock:
            objects.pop(self._key(), None)
        return self._answer(204)

    def do_POST(self):
        bucket = self._key().split("/")[0]
        keys = re.findall(rb"<Key>([^<]*)</Key>", self._body())
        with objects_lock:
            for key in keys:
                objects.pop(bucket + "/" + key.decode(), None)
        return self._answer(200, b'<?xml version="1.0" encoding="UTF-8"?><DeleteResult/>')

    def _list(self, query):
        bucket = self._key().split("/")[0]
        prefix, after = query.get("prefix", [""])[0], query.get("start-after", query.get("continuation-token", [""]))[0]
        most = int(query.get("max-keys", ["1000"])[0])
        with objects_lock:
            keys = sorted(key[len(bucket) + 1:] for key in objects if key.startswith(f"{bucket}/{prefix}"))
            keys = [key for key in keys if key > after]
            page = [(key, len(objects[f"{bucket}/{key}"])) for key in keys[:most]]
        more = len(keys) > len(page)
        told = "".join(f"<Contents><Key>{key}</Key><Size>{size}</Size></Contents>" for key, size in page)
        token = f"<NextContinuationToken>{page[-1][0]}</NextContinuationToken>" if more and page else ""
        return self._answer(200, ('<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>'
                                  f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{told}</ListBucketResult>").encode())

    def _key(self):
        return urllib.parse.unquote(urllib.parse.urlsplit(self.path).path.lstrip("/"))

    def _body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _refuse(self, status, code):
        self._answer(status, f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code></Error>'.encode())

    def _answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)

    def log_message(self, *unused):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    global flaws
    flaws = tuple(sys.argv[2:])
    unknown = [flaw for flaw in flaws if flaw not in FLAWS]
    if unknown:
        sys.exit(f"flaws are {', '.join(FLAWS)}; not {unknown[0]}")
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
