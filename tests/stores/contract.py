"""What the broker relies on in a store, asked of a running one by a client that is not the broker's."""
import hashlib
import statistics
import threading
import time

import s3
from processes import Failed, check

WRITERS, RACES = 8, 10


def expect(answer, status, what, code=None):
    check(answer.status == status and (code is None or answer.code == code),
          f"{what}: {answer}, expected {status} {code or ''}".strip())
    return answer


def put_if_absent_once(store):
    one = store.client()
    expect(one.put_if_absent("contract/once", b"first"), 200, "the first put")
    expect(one.put_if_absent("contract/once", b"second"), 412, "the second put", "PreconditionFailed")
    expect(one.put_if_absent("contract/once", b"first"), 412, "the first body again")
    check(one.get("contract/once").body == b"first", "the first body is not there any more")
    expect(one.delete("contract/once"), 204, "delete")
    expect(one.put_if_absent("contract/once", b"third"), 200, "a put after the delete")


def race(store):
    for number in range(RACES):
        clients, answers = [store.client() for _ in range(WRITERS)], [None] * WRITERS
        start = threading.Barrier(WRITERS)

        def write(index, key=f"contract/race-{number}"):
            start.wait()
            answers[index] = clients[index].put_if_absent(key, b"%d" % index)

        threads = [threading.Thread(target=write, args=(index,)) for index in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = [index for index, answer in enumerate(answers) if answer.status == 200]
        lost = [answer for answer in answers if answer.status in (409, 412)]
        check(len(won) == 1 and len(lost) == WRITERS - 1, f"{WRITERS} writers were told {answers}")
        body = clients[0].get(f"contract/race-{number}").body
        check(body == b"%d" % won[0], f"writer {won[0]} was told that it won, and the object is {body}")
        for client in clients:
            client.close()


def signatures(store):
    thief = s3.Client(store.port, store.access_key, "another secret")
    expect(thief.put("contract/thief", b""), 403, "a put with the wrong secret", "SignatureDoesNotMatch")
    stranger = s3.Client(store.port, "stranger", store.secret_key)
    answer = stranger.get("contract/once")  # Versity knows 404 XAdminUserNotFound for it
    check(answer.status in (401, 403, 404) and answer.code != "NoSuchKey", f"a get of a stranger: {answer}")
    one = store.client()
    answer = one.call("PUT", "contract/hash", body=b"what is sent", hash_of=b"what was signed")
    check(answer.status in (400, 403), f"a body that is not what was signed: {answer}")
    expect(one.head("contract/hash"), 404, "what was refused")
    expect(one.call("PUT", "contract/unsigned", body=b"body", hash_of=s3.UNSIGNED), 200, "a put with an unsigned body")


def ranges(store):
    one, body = store.client(), bytes(range(256)) * 40
    expect(one.put("contract/range", body), 200, "put")
    for first, end in ((0, 1), (0, len(body)), (100, 5000), (len(body) - 1, len(body)), (len(body) - 10, len(body) + 10)):
        answer = expect(one.get("contract/range", first, end), 206, f"bytes [{first}, {end})")
        check(answer.body == body[first:end], f"bytes [{first}, {end}) are others")
    expect(one.get("contract/range", len(body), len(body) + 1), 416, "bytes behind the end")
    expect(one.get("contract/none", 0, 1), 404, "bytes of no object", "NoSuchKey")
    check(int(expect(one.head("contract/range"), 200, "head").headers["content-length"]) == len(body), "head: another length")
    expect(one.head("contract/none"), 404, "head of no object")


def odd_keys(store):
    one = store.client()
    keys = ["contract/odd/a b+c&d=e", "contract/odd/ü/~_.-", "contract/odd/%41", "contract/odd/(1)*'!"]
    for key in keys:
        expect(one.put(key, key.encode()), 200, key)
    for key in keys:
        check(expect(one.get(key), 200, key).body == key.encode(), f"{key} has another body")
    check(one.keys("contract/odd/") == sorted(keys), f"listed as {one.keys('contract/odd/')}")


def lists(store):
    one = store.client()
    names = [f"contract/list/{number:04}" for number in range(120)]
    for name in names:
        expect(one.put(name, b"x"), 200, name)
    check(one.keys("contract/list/") == names, "list: other keys")
    page = expect(one.list("contract/list/", count_max=50), 200, "a page")
    check(page.texts("Key") == names[:50] and page.texts("IsTruncated") == ["true"], "the first page is another")
    page = expect(one.list("contract/list/", names[49], 50), 200, "a page behind a key")
    check(page.texts("Key") == names[50:100], "the second page is another")
    check(set(page.texts("Size")) == {"1"}, "list: other sizes")


def deletes(store):
    one = store.client()
    names = [f"contract/many/{number}" for number in range(30)]
    for name in names:
        expect(one.put(name, b"x"), 200, name)
    expect(one.delete_many(names[:29] + ["contract/many/never-was"]), 200, "one delete of many")
    check(one.keys("contract/many/") == names[29:], "after the delete of many others are left")
    expect(one.delete(names[29]), 204, "delete")
    expect(one.delete(names[29]), 204, "delete of what is not there")
    expect(one.get(names[29]), 404, "what was deleted")


def big(store):
    one, body = store.client(), hashlib.sha256(b"big").digest() * (1 << 18)
    expect(one.put_if_absent("contract/big", body), 200, "8 MiB")
    check(one.get("contract/big").body == body, "8 MiB come back as others")
    check(one.get("contract/big", (4 << 20) - 5, (4 << 20) + 5).body == body[(4 << 20) - 5:(4 << 20) + 5], "over a border")


def multipart(store):
    one, part = store.client(), bytes(5 << 20)
    begun = expect(one.call("POST", "contract/parts", {"uploads": ""}), 200, "begin")
    upload = begun.texts("UploadId")[0]
    tags = [expect(one.call("PUT", "contract/parts", {"partNumber": str(number), "uploadId": upload}, body), 200, "a part")
            .headers["etag"] for number, body in ((1, part), (2, b"the end"))]
    expect(one.head("contract/parts"), 404, "before it is complete")
    done = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>" for number, tag in enumerate(tags, 1))
    body = f"<CompleteMultipartUpload>{done}</CompleteMultipartUpload>".encode()
    expect(one.call("POST", "contract/parts", {"uploadId": upload}, body), 200, "complete")
    check(one.get("contract/parts").body == part + b"the end", "other bytes")
    left = expect(one.call("POST", "contract/left", {"uploads": ""}), 200, "begin").texts("UploadId")[0]
    expect(one.call("DELETE", "contract/left", {"uploadId": left}), 204, "abort")
    check(left not in one.call("GET", "", {"uploads": ""}).texts("UploadId"), "an aborted upload is still listed")


CASES = {"a key is given once": put_if_absent_once, f"one of {WRITERS} writers wins, {RACES} times": race,
         "signatures are checked": signatures, "ranges": ranges, "odd keys": odd_keys, "lists": lists, "deletes": deletes,
         "8 MiB": big, "multipart": multipart}


def facts(store, ready_s):
    """What is good to know, and nobody relies on: a sentence."""
    one, small, large = store.client(), [], []
    for number in range(150):
        small.append(_timed(lambda n=number: one.put_if_absent(f"contract/small-{n}", bytes(4096))))
    for number in range(8):
        large.append(_timed(lambda n=number: one.put_if_absent(f"contract/large-{n}", bytes(8 << 20))))
    upload = one.call("POST", "contract/once", {"uploads": ""}).texts("UploadId")[0]
    tag = one.call("PUT", "contract/once", {"partNumber": "1", "uploadId": upload}, b"x").headers["etag"]
    body = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part></CompleteMultipartUpload>"
    answer = one.call("POST", "contract/once", {"uploadId": upload}, body.encode(), {"If-None-Match": "*"})
    return (f"ready in {ready_s:.1f} s, {store.processes.rss_mib():.0f} MiB after all that; PUT of 4 KiB p50 "
            f"{statistics.median(small) * 1000:.1f} ms, of 8 MiB p50 {statistics.median(large) * 1000:.0f} ms; "
            f"completing a multipart upload onto an object with If-None-Match: {answer}")


def _timed(put):
    began = time.monotonic()
    answer = put()
    if answer.status != 200:
        raise Failed(f"put: {answer}")
    return time.monotonic() - began
