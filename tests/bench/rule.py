"""What is said of a row: it holds, is exceeded, or was not measured.

A *pair* is a bare and a preloaded host that live side by side and are measured in turn, in
slices of some milliseconds.  It gives one ratio: the median of the slices of the preloaded
one by the median of those of the bare one.  Hosts are started anew for each pair, because
where code and stack come to lie is worth some per cent to each process.

The ratio of a row is the Hodges-Lehmann estimate over its pairs: the median of the means
of every two of their ratios.  Its 95 % interval lies between those two of these means that
the signed-rank test of Wilcoxon leaves; the counts are exact, and suppose only that noise
hits both hosts alike.

A row *holds* if the upper end of the interval is at or below the bound, and is *exceeded*
if the lower end is above it.  Between them more pairs are measured, up to MOST_ROUNDS
times as many; then it was *not measured*, which fails, too."""
import statistics

HOLDS, EXCEEDED, UNDECIDED, NO_BOUND = "holds", "exceeded", "not measured", ""
LEAST_PAIRS = 6     # of fewer not even the extremes enclose the ratio with 95 %
MOST_ROUNDS = 5


def left_out(n, tail=0.025):
    """How many of the means of every two of n lie outside on each side: the greatest k
    with P(rank sum <= k) <= tail."""
    ways = [1]  # subsets of 1..n by their sum
    for rank in range(1, n + 1):
        longer = ways + [0] * rank
        for at, count in enumerate(ways):
            longer[at + rank] += count
        ways = longer
    total, k = 0, -1
    while total + ways[k + 1] <= tail * 2 ** n:
        k += 1
        total += ways[k]
    return k


class Row:
    """A ratio to the bare one; smaller is better."""

    def __init__(self, what, bound, unit="ns"):
        self.what, self.bound, self.unit = what, bound, unit
        self.pairs, self.peers = [], {}

    def add(self, bare, preloaded):
        """A pair, by its slices."""
        self.pairs.append((statistics.median(bare), statistics.median(preloaded)))

    def means(self):
        ratios = [preloaded / bare for bare, preloaded in self.pairs]
        return sorted((one + other) / 2 for i, one in enumerate(ratios)
                      for other in ratios[i:])

    def interval(self):
        means = self.means()
        if len(self.pairs) < LEAST_PAIRS:
            return means[0], means[-1]
        k = left_out(len(self.pairs))
        return means[k], means[-1 - k]

    def verdict(self):
        if self.bound is None:
            return NO_BOUND
        low, high = self.interval()
        if len(self.pairs) < LEAST_PAIRS or low <= self.bound < high:
            return UNDECIDED
        return HOLDS if high <= self.bound else EXCEEDED

    def as_json(self):
        low, high = self.interval()
        return {"what": self.what, "unit": self.unit, "bound": self.bound,
                "bare": statistics.median(p[0] for p in self.pairs),
                "preloaded": statistics.median(p[1] for p in self.pairs),
                "ratio": statistics.median(self.means()), "low": low, "high": high,
                "verdict": self.verdict(), "pairs": self.pairs, "peers": self.peers}


class Figure:
    """A row that is no ratio: figures, one of each turn, and the bound of their median."""

    def __init__(self, what, bound, unit, values, note=""):
        self.what, self.bound, self.unit = what, bound, unit
        self.values, self.note = values, note

    def verdict(self):
        if self.bound is None:
            return NO_BOUND
        return HOLDS if statistics.median(self.values) <= self.bound else EXCEEDED

    def as_json(self):
        return {"what": self.what, "unit": self.unit, "bound": self.bound,
                "value": statistics.median(self.values), "values": self.values,
                "verdict": self.verdict(), "note": self.note}


def measured(measure, is_time_left=lambda: True):
    """The rows and figures of `measure`, with as many pairs as it takes to decide them."""
    done = measure()
    for _ in range(MOST_ROUNDS - 1):
        if not is_time_left() or all(row.verdict() != UNDECIDED for row in done):
            break
        for row, more in zip(done, measure()):
            if isinstance(row, Row):
                row.pairs += more.pairs
    return done


def passes(verdicts):
    """Whether a run did: a row that was not measured fails, and so does a run of none."""
    verdicts = list(verdicts)
    return bool(verdicts) and all(verdict in (HOLDS, NO_BOUND) for verdict in verdicts)
