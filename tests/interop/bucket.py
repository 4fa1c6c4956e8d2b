#!/usr/bin/env python3
"""Runs a command beside an S3 server of its own, with what it takes to reach it in the environment.

    python3 tests/interop/bucket.py cargo test --test it story::

The server is moto's; it keeps everything in memory and is gone at the end. Its conditional puts look and then write,
in two steps: here one writer at a time does so, as in S3 itself.
`ELT_TEST_BUCKET` names an empty bucket; the tests of `tests/it` then keep their lakes there.
"""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from run import packages_of

BUCKET = "lakes"

SERVER = """
import sys
import threading

from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

one_at_a_time = threading.RLock()


def alone(method):
    def call(*arguments, **named):
        with one_at_a_time:
            return method(*arguments, **named)
    return call


for method in ["put_object", "_key_response_post"]:
    setattr(S3Response, method, alone(getattr(S3Response, method)))
server = ThreadedMotoServer(port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


def main() -> int:
    """Starts the server, makes the bucket, runs the command, and ends as it ended."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    python = packages_of(cache / "elt" / "bucket-venv", "requirements-bucket.txt")
    with subprocess.Popen([python, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
        make(f"{endpoint}/{BUCKET}")
        reach = {
            "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "elt", "AWS_SECRET_ACCESS_KEY": "secret", "ELT_TEST_BUCKET": f"s3://{BUCKET}",
        }
        done = subprocess.run(sys.argv[1:], env={**os.environ, **reach}, check=False)
        server.kill()
    return done.returncode


def make(url: str) -> None:
    """Makes the bucket, as soon as the server answers."""
    for _ in range(100):
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="PUT"))
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    sys.exit("the S3 server does not answer")


if __name__ == "__main__":
    sys.exit(main())
