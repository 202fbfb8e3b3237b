"""Bags: collections of Python objects, in partitions that are computed in parallel."""

from weft.bag.avro import read_avro
from weft.bag.core import (
    Bag,
    Item,
    concat,
    from_delayed,
    from_sequence,
    from_url,
    map_partitions,
    to_textfiles,
)
from weft.bag.core import bag_map as map
from weft.bag.core import bag_range as range
from weft.bag.core import bag_zip as zip
from weft.bag.text import read_text
from weft.bag.utils import assert_eq
from weft.base import compute

__all__ = [
    "Bag",
    "Item",
    "assert_eq",
    "compute",
    "concat",
    "from_delayed",
    "from_sequence",
    "from_url",
    "map",
    "map_partitions",
    "range",
    "read_avro",
    "read_text",
    "to_textfiles",
    "zip",
]
