"""slowdown.py PAIRS BOUND COMMAND... :: COMMAND...

Runs both commands in turn, PAIRS times, and compares the processor time they and their
children take (the clock on the wall says more of other processes).  Prints the median of
the ratios with its 95 % confidence interval; fails if that lies wholly above BOUND, or if
a command fails.
"""

import math
import resource
import statistics
import subprocess
import sys


def cost(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def interval(ratios):
    """Order statistics: how often at most `low` of n coins fall on one side."""
    ratios, n, low, below = sorted(ratios), len(ratios), 0, 0.0
    while low < n // 2:
        below += math.comb(n, low) / 2**n
        if below > 0.025:
            break
        low += 1
    low = max(low - 1, 0)
    return ratios[low], statistics.median(ratios), ratios[n - 1 - low]


def main():
    pairs, bound = int(sys.argv[1]), float(sys.argv[2])
    at = sys.argv.index("::")
    bare, other = sys.argv[3:at], sys.argv[at + 1 :]
    cost(bare), cost(other)  # warm
    ratios = [cost(other) / cost(bare) for _ in range(pairs)]
    low, median, high = interval(ratios)
    print(f"ratio {median:.3f} ({low:.3f} to {high:.3f}), bound {bound}")
    sys.exit(low > bound)


main()
