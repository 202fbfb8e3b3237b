"""Graphs of the shapes that people's programs have, as mappings from a task to what it reads."""


def tree(leaves, arity):
    """A reduction of independent leaves."""
    graph = {("leaf", i): [] for i in range(leaves)}
    level = list(graph)
    depth = 0
    while len(level) > 1:
        depth += 1
        groups = [level[i : i + arity] for i in range(0, len(level), arity)]
        graph.update({("sum", depth, i): group for i, group in enumerate(groups)})
        level = [("sum", depth, i) for i in range(len(groups))]
    return graph


def chains(count, length):
    """Independent chains."""
    return {(i, j): [(i, j - 1)] if j else [] for i in range(count) for j in range(length)}


def chains_into_tree(count, length, arity):
    """Each leaf of a reduction is made by a chain."""
    graph = tree(count, arity)
    for i in range(count):
        for j in range(length):
            graph["chain", i, j] = [("chain", i, j - 1)] if j else []
        graph["leaf", i] = [("chain", i, length - 1)]
    return graph


def statistics(leaves, kinds, arity):
    """Several reductions of the same leaves: `(x.sum(), x.min(), (x ** 2).mean())`."""
    graph = {("load", i): [] for i in range(leaves)}
    for kind in range(kinds):
        for key, reads in tree(leaves, arity).items():
            graph[kind, *key] = [(kind, *k) for k in reads] or [("load", key[1])]
    return graph


def shared_root(leaves, arity):
    """One opened file that every leaf reads."""
    graph = tree(leaves, arity)
    for i in range(leaves):
        graph["leaf", i] = ["file"]
    return {"file": [], **graph}


def stencil(cells, steps):
    """Each cell reads itself and its neighbours of the step before."""
    return {
        (t, i): [(t - 1, j) for j in (i - 1, i, i + 1) if 0 <= j < cells] if t else []
        for t in range(steps)
        for i in range(cells)
    }


def stencil2d(n, shared=True):
    """`map_overlap` in two dimensions, after which each result stands alone."""
    graph = {("x", i, j): [] for i in range(n) for j in range(n)}
    for i in range(n):
        for j in range(n):
            near = [(a, b) for a in (i - 1, i, i + 1) for b in (j - 1, j, j + 1)]
            graph["y", i, j] = [("x", a, b) for a, b in near if 0 <= a < n and 0 <= b < n]
    return graph


def transpose_sum(n, arity):
    """`(x + x.T).sum()`."""
    graph = {("x", i, j): [] for i in range(n) for j in range(n)}
    graph.update({("y", i, j): [("x", i, j), ("x", j, i)] for i in range(n) for j in range(n)})
    level = {(i, j): ("y", i, j) for i in range(n) for j in range(n)}
    depth = 0
    while len(level) > 1:
        depth += 1
        groups = {}
        for (i, j), key in level.items():
            groups.setdefault((i // arity, j // arity), []).append(key)
        graph.update({("sum", depth, *at): keys for at, keys in groups.items()})
        level = {at: ("sum", depth, *at) for at in groups}
    return graph


def rechunk(n):
    """Rows to columns: every result needs a piece of every source."""
    graph = {("row", i): [] for i in range(n)}
    graph.update({("piece", i, j): [("row", i)] for i in range(n) for j in range(n)})
    graph.update({("column", j): [("piece", i, j) for i in range(n)] for j in range(n)})
    return graph


def rechunk_blocks(n, block):
    """Rechunking whose exchanges stay within blocks."""
    graph = {}
    for start in range(0, n, block):
        for key, reads in rechunk(block).items():
            graph[start, *key] = [(start, *k) for k in reads]
    return graph


def matmul(n):
    """Blocked matrix product."""
    graph = {(m, i, j): [] for m in "ab" for i in range(n) for j in range(n)}
    for i in range(n):
        for j in range(n):
            for k in range(n):
                graph["p", i, j, k] = [("a", i, k), ("b", k, j)]
            graph["c", i, j] = [("p", i, j, k) for k in range(n)]
    return graph


def anomaly(groups, size):
    """Each value minus the mean of its group, then the mean of all."""
    graph = {}
    for g in range(groups):
        values = [("x", g, i) for i in range(size)]
        graph.update({key: [] for key in values})
        graph.update({("chunk", g, i): [("x", g, i)] for i in range(size)})
        graph["mean", g] = [("chunk", g, i) for i in range(size)]
        graph.update({("minus", g, i): [("x", g, i), ("mean", g)] for i in range(size)})
        graph.update({("part", g, i): [("minus", g, i)] for i in range(size)})
    graph["all"] = [("part", g, i) for g in range(groups) for i in range(size)]
    return graph


def flox(roots, outputs):
    """Each output reduces a piece of every root."""
    graph = {("a", i): [] for i in range(roots)}
    for o in range(outputs):
        graph.update({("b", o, i): [("a", i)] for i in range(roots)})
        graph["c", o] = [("b", o, i) for i in range(roots)]
        graph["d", o] = [("c", o)]
    return graph


def rolling(n, width):
    """Each result reads a window of sources."""
    graph = {("x", i): [] for i in range(n)}
    graph.update({("w", i): [("x", j) for j in range(i, min(i + width, n))] for i in range(n)})
    return graph


def accumulate(n):
    """A running total: each step reads a new load and the step before; each is also written."""
    graph = {}
    for i in range(n):
        graph["load", i] = []
        graph["chunk", i] = [("load", i)]
        graph["sum", i] = [("sum", i - 1), ("chunk", i)] if i else [("chunk", i)]
        graph["out", i] = [("load", i), ("sum", i)]
    return graph


def train(models, batches):
    """Models that learn from the same batches, one after the other."""
    graph = {("batch", b): [] for b in range(batches)}
    for m in range(models):
        for b in range(batches):
            graph["fit", m, b] = [("batch", b)] + ([("fit", m, b - 1)] if b else [])
    graph["best"] = [("fit", m, batches - 1) for m in range(models)]
    return graph


def diamonds(n, width):
    """Splits and joins in a row."""
    graph = {("join", 0): []}
    for i in range(1, n):
        graph.update({("split", i, j): [("join", i - 1)] for j in range(width)})
        graph["join", i] = [("split", i, j) for j in range(width)]
    return graph


def shuffle(n, stages_of):
    """A shuffle in stages of splits by digit, as for many partitions."""
    digits = 1
    while stages_of**digits < n:
        digits += 1
    n = stages_of**digits
    graph = {("in", i): [] for i in range(n)}
    before = [("in", i) for i in range(n)]
    for stage in range(digits):
        step = stages_of**stage
        after = []
        for i in range(n):
            digit = i // step % stages_of
            sources = [i + (d - digit) * step for d in range(stages_of)]
            for s in sources:
                graph["split", stage, s, digit] = [before[s]]
            graph["join", stage, i] = [("split", stage, s, digit) for s in sources]
            after.append(("join", stage, i))
        before = after
    return graph


def pairwise(n):
    """Every pair of loads is compared, and all comparisons are collected."""
    graph = {("x", i): [] for i in range(n)}
    pairs = [(i, j) for i in range(n) for j in range(i)]
    graph.update({("d", i, j): [("x", i), ("x", j)] for i, j in pairs})
    graph["all"] = [("d", i, j) for i, j in pairs]
    return graph


def store(n, width):
    """Windows that are written, and one task that waits for all."""
    graph = rolling(n, width)
    graph.update({("store", i): [("w", i)] for i in range(n)})
    graph["stored"] = [("store", i) for i in range(n)]
    return graph


def bundles(n):
    """Every pair of sources makes a branch with two ends."""
    graph = {}
    for x in range(n):
        graph[x, 0] = []
        graph[x, 1] = [(x, 0)]
        graph[x, "left"] = [(x, 0)]
        graph[x, "right"] = [(x, 1)]
    for x in range(n):
        for y in range(n):
            graph[x, y, 3] = [(x, "left"), (y, "right")]
            graph[x, y, 4] = [(x, y, 3)]
            for side in "ab":
                graph[x, y, 5, side] = [(x, y, 4)]
                graph[x, y, 6, side] = [(x, y, 5, side)]
    return graph


def late_joins(n):
    """A fold whose steps all start from one source: the first should close early."""
    graph = {"c": []}
    graph.update({("b", i): ["c"] for i in range(n)})
    graph["a", 0] = [("b", 0)]
    graph.update({("a", i): [("a", i - 1), ("b", i)] for i in range(1, n)})
    return graph


def uneven(depths):
    """Branches of different depth meet in one task."""
    graph = {}
    for b, depth in enumerate(depths):
        for key, reads in tree(2**depth, 2).items():
            graph[b, *key] = [(b, *k) for k in reads]
    tops = [(b, "sum", depth, 0) for b, depth in enumerate(depths)]
    graph["top"] = tops
    return graph


SHAPES = {
    "tree": tree(64, 4),
    "binary tree": tree(128, 2),
    "flat reduction": tree(50, 50),
    "chains": chains(20, 10),
    "chains into a tree": chains_into_tree(32, 5, 4),
    "two statistics": statistics(32, 2, 4),
    "four statistics": statistics(32, 4, 4),
    "shared root": shared_root(32, 4),
    "stencil": stencil(30, 2),
    "stencil in time": stencil(20, 8),
    "stencil in 2-d": stencil2d(12),
    "transposition": transpose_sum(16, 4),
    "rechunk": rechunk(10),
    "rechunk in blocks": rechunk_blocks(40, 4),
    "matrix product": matmul(6),
    "anomaly": anomaly(5, 20),
    "grouped reduction": flox(8, 5),
    "rolling windows": rolling(40, 3),
    "running total": accumulate(20),
    "training": train(4, 12),
    "diamonds": diamonds(10, 5),
    "shuffle": shuffle(27, 3),
    "pairs": pairwise(12),
    "stored windows": store(20, 2),
    "bundles": bundles(4),
    "late joins": late_joins(8),
    "uneven branches": uneven([2, 5, 3, 4]),
}
