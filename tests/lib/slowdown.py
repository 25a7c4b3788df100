"""slowdown.py PAIRS BOUND COMMAND... :: COMMAND...

Runs both commands in turn on one processor, PAIRS times, and compares the processor time
they and their children take (the clock on the wall says more of other processes).  Prints
the ratio with its 95 % interval; fails if the upper end of that is above BOUND, after up
to five times as many pairs, or if a command fails.  tests/bench/rule.py has the rule.
"""

import os
import pathlib
import resource
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "bench"))
from rule import HOLDS, Row, measured  # noqa: E402


def cost(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    pairs, bound = int(sys.argv[1]), float(sys.argv[2])
    at = sys.argv.index("::")
    commands = sys.argv[3:at], sys.argv[at + 1 :]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for command in commands:  # warm
        cost(command)

    def measure():
        row = Row("the other", bound)
        for pair in range(pairs):
            turns = [], []
            for which in (0, 1) if pair % 2 else (1, 0):
                turns[which].append(cost(commands[which]))
            row.add(*turns)
        return [row]

    row = measured(measure)[0]
    low, high = row.interval()
    print(f"ratio {row.as_json()['ratio']:.3f} ({low:.3f} to {high:.3f}, {len(row.pairs)} "
          f"pairs), bound {bound}: {row.verdict()}")
    sys.exit(row.verdict() != HOLDS)


main()
