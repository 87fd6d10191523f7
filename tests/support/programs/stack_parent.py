"""The parent process in the tests of the stack: it starts a stack, and ends in the requested way.

python stack_parent.py throw-away|PATH  return|raise|wait
"""

import json
import signal
import sys
import time
from pathlib import Path

import psutil

from stack.embedded import embedded_stack

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for background jobs


def main() -> None:
    """Start the stack, print a report as JSON, and end."""
    where, ending = sys.argv[1:]
    with embedded_stack(None if where == "throw-away" else Path(where)) as stack:
        servers = [psutil.Process(stack.kafka_pid), psutil.Process(stack.postgres_pid)]
        report = {
            "kafka": stack.kafka_bootstrap_servers,
            "database_url": stack.database_url,
            "pids": [process.pid for process in psutil.Process().children(recursive=True)],
            "folders": [server.cwd() for server in servers],
            "accounts": [server.uids().effective for server in servers],
        }
        print(json.dumps(report), flush=True)
        if ending == "raise":
            raise RuntimeError("as requested")
        while ending == "wait":
            time.sleep(60)


if __name__ == "__main__":
    main()
