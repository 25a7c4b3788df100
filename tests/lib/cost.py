"""cost.py COMMAND...: runs it; seconds on the wall and the greatest resident KiB to
standard error."""

import resource
import subprocess
import sys
import time

start = time.monotonic()
status = subprocess.run(sys.argv[1:], check=False).returncode
seconds = time.monotonic() - start
kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(f"{seconds:.2f} {kilobytes}", file=sys.stderr)
sys.exit(status)
