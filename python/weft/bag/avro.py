"""Bags of records in Avro files, by fastavro."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from fsspec.core import OpenFile, get_fs_token_paths, open_files
from fsspec.utils import read_block

from weft._weft import bag_layer
from weft.bag._steps import Step
from weft.base import tokenize
from weft.utils import import_required

__all__ = ["read_avro", "to_avro"]

MAGIC = b"Obj\x01"
SYNC_SIZE = 16


def read_long(file: Any) -> int:
    """An integer of variable length in zig-zag code."""
    value, shift, byte = 0, 0, 0x80
    while byte & 0x80:
        (byte,) = file.read(1) or (0,)
        value |= (byte & 0x7F) << shift
        shift += 7
    return (value >> 1) ^ -(value & 1)


def read_bytes(file: Any) -> bytes:
    """Bytes after their number."""
    return file.read(read_long(file))


def read_header(file: Any, path: str = "the file") -> dict[str, Any]:
    """The mark between a file's blocks (``"sync"``) and its head.

    Raises
    ------
    ValueError
        If it is no Avro file.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError(f"{path} is no Avro file: it does not begin with {MAGIC!r}")
    while n := read_long(file):
        if n < 0:
            # A negative count comes with the block's size in bytes.
            read_long(file)
        for _ in range(abs(n)):
            read_bytes(file)
            read_bytes(file)
    sync = file.read(SYNC_SIZE)
    size = file.tell()
    file.seek(0)
    return {"meta": {}, "sync": sync, "header_size": size, "head_bytes": file.read(size)}


class ReadAvro(Step):
    """The records of piece ``i``; ``length`` ``None``: a whole file."""

    __slots__ = ("fs", "pieces", "compression")
    fs: Any
    pieces: list[tuple[str, int, int | None, bytes, bytes]]
    compression: str | None

    def __call__(self, index: int) -> Iterator[Any]:
        import fastavro

        path, offset, length, head, sync = self.pieces[index]
        with OpenFile(self.fs, path, compression=self.compression) as file:
            if length is None:
                yield from fastavro.reader(file)
                return
            block = read_block(file, offset, length, sync)
        yield from fastavro.reader(io.BytesIO(block if block.startswith(MAGIC) else head + block))


def read_avro(urlpath, blocksize=100000000, storage_options=None, compression=None):
    """A bag of the records of Avro files. Needs fastavro.

    Parameters
    ----------
    urlpath : str or list of str
        May have wildcards and a protocol.
    blocksize : int or None
        Cut files into partitions of about so many bytes; ``None``: a file is a partition.
    storage_options : dict, optional
        Options of the file system.
    compression : str, optional
        Of the files as a whole; such files cannot be cut.

    Returns
    -------
    Bag
        Of dicts.
    """
    import_required("fastavro", "fastavro is a required dependency for using bag.read_avro().")
    from weft.bag.core import Bag

    fs, fs_token, paths = get_fs_token_paths(urlpath, mode="rb", storage_options=storage_options)
    pieces: list[tuple[str, int, int | None, bytes, bytes]] = []
    for path in paths:
        if blocksize is None:
            pieces.append((path, 0, None, b"", b""))
            continue
        with OpenFile(fs, path, compression=compression) as file:
            head = read_header(file, path)
        for offset in range(0, fs.info(path)["size"], blocksize):
            pieces.append((path, offset, blocksize, head["head_bytes"], head["sync"]))
    token = tokenize(fs_token, [fs.ukey(path) for path in paths], pieces, compression)
    read = ReadAvro(fs, pieces, compression)
    return Bag._of(
        bag_layer(f"read-avro-{token}", len(pieces), read, ["index"], label="read-avro"), len(pieces)
    )


class WriteAvro(Step):
    """Writes a partition to file ``i``."""

    __slots__ = ("files", "schema", "codec", "sync_interval", "metadata")
    files: list[Any]
    schema: dict[str, Any]
    codec: str
    sync_interval: int
    metadata: Any

    def __call__(self, index: int, part: Iterable[Any]) -> None:
        import fastavro

        with self.files[index] as file:
            fastavro.writer(file, self.schema, part, self.codec, self.sync_interval, self.metadata)


def to_avro(
    b,
    filename,
    schema,
    name_function=None,
    storage_options=None,
    codec="null",
    sync_interval=16000,
    metadata=None,
    compute=True,
    **kwargs,
):
    """Writes a bag of dicts to Avro files, one for each partition. Needs fastavro.

    Parameters
    ----------
    b : Bag
    filename : str or list of str
        A name in which ``*`` stands for the partition's number, or a name for each partition.
    schema : dict
        With ``"name"``, ``"type": "record"`` and ``"fields"``, as the Avro specification says.
    name_function : callable, optional
        Gives what to put for ``*``, from the partition's number.
    storage_options : dict, optional
        Options of the file system.
    codec : {"null", "deflate", "snappy"}
    sync_interval : int
        Bytes in a block of a file, about.
    metadata : dict, optional
        What else to put into the files' heads.
    compute : bool
        False: give a list of delayed values that write the files.
    **kwargs
        Passed on to ``compute``.

    Returns
    -------
    list
        The files' names, or delayed values.
    """
    import_required("fastavro", "fastavro is a required dependency for using bag.to_avro().")
    _verify_schema(schema)
    files = open_files(
        filename, "wb", name_function=name_function, num=b.npartitions, **(storage_options or {})
    )
    write = WriteAvro(list(files), schema, codec, sync_interval, metadata)
    out = b._step(f"to-avro-{uuid.uuid4().hex}", write, label="to-avro", lazy=False, indexed=True)
    if compute:
        out.compute(**kwargs)
        return [file.path for file in files]
    return out.to_delayed()


def _verify_schema(schema: Any) -> None:
    assert isinstance(schema, dict), "Schema must be dictionary"
    for field in ("name", "type", "fields"):
        assert field in schema, f"Schema missing '{field}' field"
    assert schema["type"] == "record", "Schema must be of type 'record'"
    assert isinstance(schema["fields"], list), "Fields entry must be a list"
    for field in schema["fields"]:
        assert "name" in field and "type" in field, f"Field spec incomplete: {field}"
