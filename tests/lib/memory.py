"""memory.py COMMAND...: runs it; the greatest resident KiB to standard error."""

import resource
import subprocess
import sys

status = subprocess.run(sys.argv[1:], check=False).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)
