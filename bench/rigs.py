"""The stores of the tests, as the benchmarks use them."""
import contextlib
import os
import sys

import servers
from servers import Failed

sys.path.insert(0, os.path.join(servers.ROOT, "tests", "stores"))

import etcd  # noqa: E402,F401  (it says where harness is)
import harness  # noqa: E402


@contextlib.contextmanager
def started(rig, parts):
    """The rig, started; what the processes of its parts use is ours and not somebody else's. `parts`: of the rig, those
    that have processes."""
    children = []
    try:
        rig.start()
        children = [child for part in parts(rig) for child in part.processes.children.values()]
        servers.live.update((child.pid, child) for child in children)
        yield rig
    except harness.Failed as failed:
        raise Failed(str(failed)) from failed
    finally:
        for child in children:
            servers.live.pop(child.pid, None)
        rig.close()
