"""What Python clients of a broker that is killed again and again are told, and send."""

QUICK = {"broker.address.family": "v4", "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100,
         "topic.metadata.refresh.fast.interval.ms": 50, "message.max.bytes": 2000000}


def value_of(key, noise):
    """Mostly small, now and then large, always starting with the key."""
    size = noise.randrange(100000) if noise.random() < 0.002 else noise.randrange(10, 600)
    return key.encode() + b":" + noise.randbytes(size // 2) + b"." * (size // 2)
