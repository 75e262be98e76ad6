"""A small S3 client with signatures of its own (AWS Signature Version 4), for tests: it shows every status and
header, repeats nothing and hides nothing. And what all stores of the tests have in common."""
import base64
import hashlib
import hmac
import http.client
import re
import socket
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree

REGION = "us-east-1"
UNSIGNED = "UNSIGNED-PAYLOAD"
IDLE_S = 20  # a store may end a connection that has been idle for longer


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def code(self):
        """The word that S3 has for an error, or an empty string."""
        found = re.search(rb"<Code>([^<]+)</Code>", self.body)
        return found.group(1).decode() if found else ""

    def texts(self, tag):
        """The texts of all elements of this name, whatever their name space."""
        return [element.text or "" for element in ElementTree.fromstring(self.body).iter()
                if element.tag.rpartition("}")[2] == tag]

    def __repr__(self):
        return f"{self.status} {self.code}".strip()


class Client:
    """One connection, path style. Not for several threads."""

    def __init__(self, port, access_key, secret_key, bucket="paceline", timeout=30, host="127.0.0.1"):
        self.host, self.port, self.bucket, self.timeout = host, port, bucket, timeout
        self.access_key, self.secret_key = access_key, secret_key
        self._connection, self._used = None, 0.0

    def put(self, key, body, **headers):
        return self.call("PUT", key, body=body, headers=headers)

    def put_if_absent(self, key, body):
        return self.call("PUT", key, body=body, headers={"If-None-Match": "*"})

    def get(self, key, first=None, end=None):
        """All of it, or the bytes [first, end)."""
        return self.call("GET", key, headers={} if first is None else {"Range": f"bytes={first}-{end - 1}"})

    def head(self, key):
        return self.call("HEAD", key)

    def delete(self, key):
        return self.call("DELETE", key)

    def delete_many(self, keys):
        body = ("<Delete>" + "".join(f"<Object><Key>{_escaped(key)}</Key></Object>" for key in keys)
                + "<Quiet>true</Quiet></Delete>").encode()
        return self.call("POST", "", {"delete": ""}, body,
                         {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()})

    def list(self, prefix="", after=None, count_max=1000):
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(count_max)}
        if after:
            query["start-after"] = after
        return self.call("GET", "", query)

    def keys(self, prefix=""):
        """All of them, page by page."""
        found, after = [], None
        while True:
            page = self.list(prefix, after)
            if page.status != 200:
                raise OSError(f"list: {page}")
            keys = page.texts("Key")
            found += keys
            if page.texts("IsTruncated") != ["true"]:
                return found
            after = keys[-1]

    def make_bucket(self, name):
        return self.call("PUT", None, bucket=name)

    def delete_bucket(self, name):
        return self.call("DELETE", None, bucket=name)

    def close(self):
        if self._connection:
            self._connection.close()
        self._connection = None

    def call(self, method, key, query=None, body=b"", headers=None, bucket=None, hash_of=None):
        """`hash_of`: the body that is claimed to be sent, or UNSIGNED."""
        path = "/" + urllib.parse.quote(bucket or self.bucket) + ("" if key is None else "/" + urllib.parse.quote(key, safe="/-_.~"))
        digest = UNSIGNED if hash_of == UNSIGNED else hashlib.sha256(body if hash_of is None else hash_of).hexdigest()
        query = "&".join(f"{urllib.parse.quote(name, safe='-_.~')}={urllib.parse.quote(value, safe='-_.~')}"
                         for name, value in sorted((query or {}).items()))
        signed = self._signed(method, path, query, digest, headers or {})
        if body or method in ("PUT", "POST"):
            signed["Content-Length"] = str(len(body))
        if time.monotonic() - self._used > IDLE_S:
            self.close()
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._connection.request(method, path + ("?" + query if query else ""), body or None, signed)
            answer = self._connection.getresponse()
            body_read = answer.read()
            self._used = time.monotonic()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, body_read)
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def _signed(self, method, path, query, digest, headers):
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        host = f"{self.host}:{self.port}"
        lower = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": at,
                 **{name.lower(): value for name, value in headers.items() if name.lower().startswith("x-amz-")}}
        names = ";".join(sorted(lower))
        canonical = "\n".join([method, path, query, *(f"{name}:{lower[name]}" for name in sorted(lower)), "", names, digest])
        scope = f"{at[:8]}/{REGION}/s3/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", at, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.secret_key).encode()
        for part in (at[:8], REGION, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        return {**headers, **lower, "Authorization": f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, "
                f"SignedHeaders={names}, Signature={signature}"}


def _escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Store:
    """A store of the tests: what a client or a broker has to know of it."""

    name = "?"
    checks_signatures = False

    def __init__(self, port, access_key, secret_key):
        self.port, self.access_key, self.secret_key = port, access_key, secret_key

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def client(self, bucket="paceline", port=None, timeout=30):
        return Client(port or self.port, self.access_key, self.secret_key, bucket, timeout)

    def url(self, prefix, bucket="paceline", port=None):
        """What paceline.objects takes; `port` of a proxy before the store."""
        return f"s3://{bucket}/{prefix}?endpoint=http://127.0.0.1:{port or self.port}&region={REGION}&pathStyle=true"

    def environment(self):
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def answers(self):
        probe = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            probe.request("GET", "/")
            return probe.getresponse().status > 0
        except (OSError, http.client.HTTPException):
            return False
        finally:
            probe.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.close()
