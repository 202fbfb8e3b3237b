"""Made-up records of network connections, in the form of the KDD Cup 1999 data: 41 fields and a label that ends with a dot.

Three quarters of the connections are attacks, most of them of two kinds, as in the ten per cent file of the contest.

    python kdd.py kddcup.data.gz --lines 100000
"""

from __future__ import annotations

import argparse
import gzip
import random

LABELS = {
    "smurf": 0.568,
    "neptune": 0.217,
    "normal": 0.197,
    "back": 0.0045,
    "satan": 0.0032,
    "ipsweep": 0.0025,
    "portsweep": 0.0021,
    "warezclient": 0.0021,
    "teardrop": 0.002,
    "pod": 0.0005,
    "nmap": 0.0005,
    "guess_passwd": 0.0003,
    "buffer_overflow": 0.0002,
    "land": 0.0001,
}
SERVICES = [
    "http",
    "smtp",
    "ftp_data",
    "private",
    "domain_u",
    "ecr_i",
    "telnet",
    "finger",
    "auth",
    "pop_3",
    "other",
]
FLAGS = ["SF", "S0", "REJ", "RSTR"]


def line(draw: random.Random) -> str:
    """One connection."""
    label = draw.choices(list(LABELS), list(LABELS.values()))[0]
    if label == "smurf":
        protocol, service, flag = "icmp", "ecr_i", "SF"
        sent, received = 1032, 0
    elif label == "neptune":
        protocol, service, flag = "tcp", "private", "S0"
        sent, received = 0, 0
    else:
        protocol = draw.choices(["tcp", "udp", "icmp"], [0.85, 0.1, 0.05])[0]
        service = draw.choice(SERVICES)
        flag = draw.choices(FLAGS, [0.9, 0.04, 0.04, 0.02])[0]
        sent, received = draw.randrange(6000), draw.randrange(9000)
    duration = draw.choices([0, draw.randrange(1, 5000)], [0.9, 0.1])[0]
    counts = [str(min(draw.getrandbits(9) & draw.getrandbits(9), 511)) for _ in range(18)]
    rates = [f"{draw.randrange(101) / 100:.2f}" for _ in range(17)]
    fields = [duration, protocol, service, flag, sent, received, *counts, *rates]
    return ",".join(map(str, fields)) + f",{label}.\n"


def write(path: str, lines: int = 100_000, seed: int = 1999) -> str:
    """Writes a file of connections, compressed if its name ends in ``.gz``; the same for the same seed."""
    draw = random.Random(seed)
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "wt") as file:
        file.writelines(line(draw) for _ in range(lines))
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1999)
    options = parser.parse_args()
    write(options.path, options.lines, options.seed)
