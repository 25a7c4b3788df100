"""Starts of programs, and what is no ratio: the helper, memory, scan passes, reports."""
import statistics
import subprocess
import time

from hosts import Host
from rule import Figure, Row

STARTS_OF_A_PAIR = 20
FIRST_OF_A_PAIR = 3


def start_row(bench, what, bound, program, against="-", n=STARTS_OF_A_PAIR):
    """A slice is one start, of a millisecond or less."""
    row = Row(what, bound)
    for _ in range(bench.pairs):
        out = subprocess.run([bench.tool("starts"), str(n), against, bench.library, *program],
                             text=True, capture_output=True, check=True).stdout
        row.add(*zip(*((float(word) for word in line.split()) for line in out.splitlines())))
    return row


def helper_figures(bench, seconds):
    figures = []
    for n in (100, 10000):
        host = Host(bench, ["held", "hold", n, 10], bench.library).await_ready()
        host.line()
        # Lengthened intervals: the first look after so many births is the dearest.
        share = float(host.ask(int(seconds * 1000 * (1 if n < 1000 else 3))))
        host.end()
        figures.append(Figure(f"helper thread, {n:,} tracked sockets", 0.1, "% of a core",
                              [share]))
    return figures


def memory_figures(bench):
    figures = []
    n = 10000
    for places in (10, 10000):
        grown = []
        for preload in (None, bench.library):
            host = Host(bench, ["held", "hold", n, places], preload).await_ready()
            grown.append(int(host.line()))
            host.end()
        figures.append(Figure(
            f"resident memory per tracked descriptor, {n:,} from {places:,} places",
            None, "bytes", [(grown[1] - grown[0]) / n], f"bare {grown[0] / n:.0f}"))
    return figures


def pass_figures(bench, most):
    figures = []
    for n in (100, 1000, 10000, most):
        host = Host(bench, ["held", "passes", n], bench.library,
                    options="interval=1000s").await_ready()
        turns = [float(host.ask(max(1, 10000 // n))) / 1e3 for _ in range(5)]
        host.end()
        figures.append(Figure(f"a scan pass over {n:,} sockets", None, "us", turns,
                              f"{statistics.median(turns) * 1e3 / n:.0f} ns a socket"))
    return figures


GRACE_MS = 500
LEAKS = 8


def report_figures(bench):
    """From the peer's FIN to the line on standard error, beyond grace; of connections whose
    ends are spread over the interval of the scans."""
    late_ms = []
    for at in range(LEAKS):
        host = Host(bench, ["held", "leak"], bench.library, options=f"grace={GRACE_MS}ms",
                    stderr=subprocess.PIPE).await_ready()
        time.sleep(at / LEAKS)
        closed_ns = int(host.ask())
        if "ERROR: sockleak" not in host.process.stderr.readline():
            raise RuntimeError("no report of a leak")
        late_ms.append((time.monotonic_ns() - closed_ns) / 1e6 - GRACE_MS)
        host.end()
    return [Figure(f"from the peer's FIN to the report, beyond grace={GRACE_MS}ms", None, "ms",
                   late_ms, f"{min(late_ms):.0f} to {max(late_ms):.0f}")]


def first_once(bench, preload):
    host = Host(bench, ["held", "first"], preload).await_ready()
    closed_ns, quiet_ns, grown = (float(word) for word in host.line().split())
    host.process.wait(20)
    host.end()
    return closed_ns, quiet_ns, grown


def first_rows(bench):
    """The first connection of a process: libunwind's memory and the helper are set up."""
    names = "until it is closed", "and until all is quiet again"
    rows = [Row(f"the first connection, processor time {name}", None) for name in names]
    memory = [], []
    for _ in range(bench.pairs):
        turns = [], []
        for turn in range(FIRST_OF_A_PAIR):
            for which in (0, 1) if turn % 2 else (1, 0):
                turns[which].append(first_once(bench, (None, bench.library)[which]))
        for at, row in enumerate(rows):
            row.add(*([one[at] for one in side] for side in turns))
        for side, grown in zip(turns, memory):
            grown += [one[2] / 1024 for one in side]
    return [*rows, Figure("the first connection, resident memory of its own", None, "KiB",
                          memory[1], f"bare {statistics.median(memory[0]):.0f}")]
