"""Settings: nested, named by dots, from files, the environment and calls to :func:`set`.

A later source wins over an earlier one:

1. defaults, ``weft.yaml`` beside this file and what libraries add by :func:`update_defaults`;
2. Dask's configuration files, so that a machine set up for Dask needs nothing new;
3. weft's configuration files (:data:`paths` lists both);
4. environment variables ``DASK_…``, then ``WEFT_…``;
5. :func:`set`.

``-`` and ``_`` in a name mean the same. Nothing is read until a setting is first asked for: PyYAML is slow to
import, and most short programs ask late. Readers take no lock: a writer builds the nested dictionary it changes
anew and puts it in place by one assignment, so that a reader in another thread sees all of a change or nothing.
What only some calls need is imported by them: this module is imported by every program that imports weft.
"""

from __future__ import annotations

import builtins  # the function `set` below hides the type
import os
import site
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from weft.typing import no_default

if TYPE_CHECKING:
    import pathlib

    config: dict[str, Any]
    global_config: dict[str, Any]


def _places(name: str, root: str | None, user: str | None) -> list[str]:
    """Where the configuration of the program ``name`` is looked for, least important first."""
    found = [
        root or f"/etc/{name}",
        os.path.join(sys.prefix, "etc", name),
        *(os.path.join(prefix, "etc", name) for prefix in site.PREFIXES),
        os.path.join(os.path.expanduser("~"), ".config", name),
    ]
    return found + [user] if user else found


def _get_paths() -> list[str]:
    """Files and directories that are read, least important first, each once."""
    env = os.environ
    weft_file = env.get("WEFT_CONFIG")
    dask = _places("dask", env.get("DASK_ROOT_CONFIG"), None if weft_file else env.get("DASK_CONFIG"))
    weft = _places("weft", env.get("WEFT_ROOT_CONFIG"), weft_file)
    # Of a place named twice the more important mention counts.
    return list(reversed(dict.fromkeys(reversed(dask + weft))))


#: Files and directories that are read, least important first.
paths: list[str] = _get_paths()

#: Where :func:`ensure_file` puts files.
PATH: str = os.environ.get("WEFT_CONFIG") or os.path.join(os.path.expanduser("~"), ".config", "weft")

#: Held while settings change. Re-entrant: its holder may ask for a setting, which may load them all.
config_lock: Any = threading.RLock()

#: What :func:`update_defaults` was given, oldest first.
defaults: list[Mapping] = []

#: Names that changed: old name (with ``-``) to new name, or to None where the setting is gone.
deprecations: dict[str, str | None] = {
    "fuse-ave-width": "optimization.fuse.ave-width",
    "fuse-max-height": "optimization.fuse.max-height",
    "fuse-max-width": "optimization.fuse.max-width",
    "fuse-rename-keys": "optimization.fuse.rename-keys",
    "fuse-max-depth-new-edges": "optimization.fuse.max-depth-new-edges",
    "shuffle": "dataframe.shuffle.method",
    "array.rechunk-threshold": "array.rechunk.threshold",
    "array.shuffle.chunksize-tolerance": "array.chunk-size-tolerance",
    "dataframe.shuffle.algorithm": "dataframe.shuffle.method",
    "dataframe.shuffle-compression": "dataframe.shuffle.compression",
    "admin.traceback.shorten.what": "admin.traceback.shorten",
}

_config: dict[str, Any] = {}
_loaded = False


def _load() -> None:
    """Fill the global configuration; once."""
    global _loaded
    with config_lock:
        if _loaded:
            return
        shipped = _load_config_file(os.path.join(os.path.dirname(__file__), "weft.yaml")) or {}
        refresh(config=_config, defaults=[shipped, *defaults])
        defaults.insert(0, shipped)
        _loaded = True


def _global() -> dict[str, Any]:
    if not _loaded:
        _load()
    return _config


def __getattr__(name: str) -> Any:
    if name in ("config", "global_config"):
        return _global()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def canonical_name(k: str, config: Any) -> str:
    """The form of a name, with ``-`` or ``_``, that a dictionary already holds.

    Parameters
    ----------
    k : str
        One part of a setting's name.
    config : dict
        The dictionary; anything else gives ``k`` back.

    Examples
    --------
    >>> canonical_name("chunk_size", {"chunk-size": 1})
    'chunk-size'
    """
    try:
        if k in config:
            return k
        other = k.replace("_", "-") if "_" in k else k.replace("-", "_")
        return other if other in config else k
    except TypeError:
        return k


def update(
    old: dict,
    new: Mapping,
    priority: Literal["old", "new", "new-defaults"] = "new",
    defaults: Mapping | None = None,
) -> dict:
    """Merge a nested mapping into a dictionary, in place.

    Parameters
    ----------
    old : dict
        What is changed, and returned.
    new : Mapping
        What is merged into it.
    priority : {"new", "old", "new-defaults"}
        Which side wins where both have a value. With "new-defaults", ``new`` replaces only values that still
        equal ``defaults``.
    defaults : Mapping, optional
        The defaults in force before this call.

    Examples
    --------
    >>> update({"x": 1, "y": {"a": 2}}, {"x": 2, "y": {"b": 3}})
    {'x': 2, 'y': {'a': 2, 'b': 3}}
    """
    for k, v in new.items():
        k = canonical_name(k, old)
        if isinstance(v, Mapping):
            if not isinstance(old.get(k), dict):
                old[k] = {}
            below = defaults.get(k) if defaults else None
            update(old[k], v, priority=priority, defaults=below)
        elif k not in old or priority == "new":
            old[k] = v
        elif priority == "new-defaults" and defaults and k in defaults and defaults[k] == old[k]:
            old[k] = v
    return old


def merge(*dicts: Mapping) -> dict:
    """One nested dictionary of several; later ones win.

    Examples
    --------
    >>> merge({"x": 1, "y": {"a": 2}}, {"y": {"b": 3}})
    {'x': 1, 'y': {'a': 2, 'b': 3}}
    """
    result: dict = {}
    for d in dicts:
        update(result, d)
    return result


def _load_config_file(path: str | os.PathLike) -> dict | None:
    """The content of a file; None where it is empty or may not be read."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        with open(path, encoding="utf-8") as f:
            content = yaml.load(f.read(), Loader=loader)
    except OSError:
        return None
    except Exception as exc:
        raise ValueError(
            f"A weft config file at {str(path)!r} is malformed: it is not YAML. Mend or remove it; "
            f"original error message:\n\n{exc}"
        ) from None
    if content is not None and not isinstance(content, dict):
        raise ValueError(
            f"A weft config file at {str(path)!r} is malformed - it must have a dict at its top level, "
            f"got a {type(content).__name__} instead"
        )
    return content


@overload
def collect_yaml(
    paths: Sequence[str | os.PathLike], *, return_paths: Literal[False] = False
) -> Iterator[dict]: ...


@overload
def collect_yaml(
    paths: Sequence[str | os.PathLike], *, return_paths: Literal[True]
) -> Iterator[tuple[pathlib.Path, dict]]: ...


def collect_yaml(paths: Sequence[str | os.PathLike], *, return_paths: bool = False) -> Iterator[Any]:
    """Read configuration files.

    Parameters
    ----------
    paths : sequence of path
        Files, and directories whose ``.yaml``, ``.yml`` and ``.json`` files are read in the order of their
        names. What does not exist or may not be read is passed over.
    return_paths : bool
        Yield ``(path, content)`` in place of ``content``.

    Raises
    ------
    ValueError
        A file is not YAML, or holds no mapping.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     _ = pathlib.Path(directory, "a.yaml").write_text("a: {b: 1}")
    ...     list(collect_yaml([directory]))
    [{'a': {'b': 1}}]
    """
    import pathlib

    files: list[Any] = []
    for path in paths:
        if os.path.isdir(path):
            try:
                names = sorted(os.listdir(path))
            except OSError:
                continue
            files += (
                os.path.join(path, name)
                for name in names
                if os.path.splitext(name)[1].lower() in (".json", ".yaml", ".yml")
            )
        elif os.path.exists(path):
            files.append(path)

    for path in files:
        content = _load_config_file(path)
        if content is not None:
            yield (pathlib.Path(path), content) if return_paths else content


#: Variables that steer where the configuration comes from; they are no settings.
_NOT_SETTINGS = frozenset({"CONFIG", "ROOT_CONFIG", "INTERNAL_INHERIT_CONFIG"})


def collect_env(env: Mapping[str, str] | None = None) -> dict:
    """Settings from environment variables.

    ``WEFT_ARRAY__CHUNK_SIZE=64MiB`` sets ``array.chunk_size``: the name is lower-cased, ``__`` becomes a dot,
    and the value is read as a Python literal where it is one. ``DASK_…`` is read the same way and counts where
    ``WEFT_…`` does not set the same name. ``WEFT_INTERNAL_INHERIT_CONFIG`` holds a whole configuration that
    another process passed on (see :func:`serialize`).

    Parameters
    ----------
    env : Mapping, optional
        The variables; ``os.environ`` where None.

    Examples
    --------
    >>> collect_env({"DASK_X": "1", "WEFT_X": "2", "WEFT_A__B": "true"})
    {'x': 2, 'a': {'b': True}}
    """
    if env is None:
        env = os.environ

    inherited = env.get("WEFT_INTERNAL_INHERIT_CONFIG", env.get("DASK_INTERNAL_INHERIT_CONFIG"))
    result: dict = deserialize(inherited) if inherited else {}
    for prefix in ("DASK_", "WEFT_"):
        found = {
            name[5:].lower().replace("__", "."): interpret_value(value)
            for name, value in env.items()
            if name.startswith(prefix) and name[5:] not in _NOT_SETTINGS and len(name) > 5
        }
        set(found, config=result)
    return result


def interpret_value(value: str) -> Any:
    """The value of an environment variable: a Python literal, a YAML constant, or else the text itself.

    Examples
    --------
    >>> interpret_value("[1, 2]"), interpret_value("null"), interpret_value("/tmp")
    ([1, 2], None, '/tmp')
    """
    import ast

    try:
        return ast.literal_eval(value)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        pass
    return {"none": None, "null": None, "false": False, "true": True}.get(value.lower(), value)


def paths_containing_key(key: str, paths: Sequence[str | os.PathLike] = paths) -> Iterator[pathlib.Path]:
    """The configuration files that set a key, least important first.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     _ = pathlib.Path(directory, "a.yaml").write_text("a: {b: 1}")
    ...     [path.name for path in paths_containing_key("a.b", [directory])]
    ['a.yaml']
    """
    for path, content in collect_yaml(paths, return_paths=True):
        try:
            get(key, config=content)
        except (KeyError, TypeError, IndexError):
            continue
        yield path


def ensure_file(
    source: str | os.PathLike, destination: str | os.PathLike | None = None, comment: bool = True
) -> None:
    """Copy a file of defaults to where its user will look for it, unless it is there already.

    Libraries that bring settings of their own call this so that users find a file to edit.

    Parameters
    ----------
    source : path
        The file.
    destination : path, optional
        Directory to put it in; :data:`PATH` where None. An existing file is left alone.
    comment : bool
        Turn each line into a comment, so that the copy changes nothing.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     defaults_file = pathlib.Path(directory, "mylib.yaml")
    ...     _ = defaults_file.write_text("mylib: {scale: 2}")
    ...     ensure_file(defaults_file, pathlib.Path(directory, "config"))
    ...     pathlib.Path(directory, "config", "mylib.yaml").read_text()
    '# mylib: {scale: 2}'
    """
    directory = PATH if destination is None else destination
    if os.path.isfile(directory):
        return
    target = os.path.join(directory, os.path.basename(source))
    if os.path.exists(target):
        return
    try:
        os.makedirs(directory, exist_ok=True)
        with open(source, encoding="utf-8") as f:
            lines = list(f)
        if comment:
            lines = [line if line.startswith("#") or not line.strip() else f"# {line}" for line in lines]
        # Written aside and moved: another process must never read half of it.
        partial = f"{target}.tmp.{os.getpid()}.{threading.get_ident()}"
        with open(partial, "w", encoding="utf-8") as f:
            f.writelines(lines)
        try:
            os.rename(partial, target)
        except OSError:
            os.remove(partial)
    except OSError:
        pass  # a read-only home is no reason to fail an import


class set:
    """Set values, for good or inside a ``with`` block.

    Parameters
    ----------
    arg : Mapping, optional
        Names, with dots, to values.
    config : dict, optional
        The configuration to change; the global one where None.
    lock : context manager
        Held while values change.
    **kwargs
        More of ``arg``, written with ``__`` for a dot. They win over ``arg``.

    Raises
    ------
    ValueError
        The setting existed once and was removed.
    TypeError
        A name goes below a setting that holds a plain value.

    Examples
    --------
    >>> import weft
    >>> with weft.config.set({"array.chunk-size": "64MiB"}):
    ...     weft.config.get("array.chunk-size")
    '64MiB'
    >>> with weft.config.set(array__svg__size=80):
    ...     weft.config.get("array.svg.size")
    80

    See Also
    --------
    get
    """

    config: dict
    # (path, had a value, that value), in the order of the changes
    _record: list[tuple[tuple[str, ...], bool, Any]]

    def __init__(
        self,
        arg: Mapping | None = None,
        config: dict | None = None,
        lock: Any = config_lock,
        **kwargs: Any,
    ):
        changes = []
        for key, value in (arg or {}).items():
            changes.append((check_deprecations(key).split("."), value))
        for key, value in kwargs.items():
            changes.append((check_deprecations(key.replace("__", ".")).split("."), value))
        self.config = _global() if config is None else config
        self._lock = lock
        self._record = []
        with lock:
            try:
                for keys, value in changes:
                    self._assign(keys, value, self.config, ())
            except TypeError:
                self._undo()
                raise

    def __enter__(self) -> dict:
        return self.config

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._undo()

    def _assign(
        self, keys: Sequence[str], value: Any, node: dict, above: tuple[str, ...], record: bool = True
    ) -> None:
        key = canonical_name(keys[0], node)
        path = (*above, key)
        old = node.get(key)
        if len(keys) > 1 and old is not None and not isinstance(old, Mapping):
            raise TypeError(
                f"cannot set {'.'.join((*path, *keys[1:]))!r}: {'.'.join(path)!r} holds {old!r}, not a mapping"
            )
        if record and (len(keys) == 1 or old is None):
            self._record.append((path, key in node, old))
            record = False  # undoing this one undoes all below it
        if len(keys) > 1:
            # A changed copy replaces the old mapping: readers hold the old one, or a user does.
            below = _copied(old)
            self._assign(keys[1:], value, below, path, record)
            value = below
        node[key] = value

    def _undo(self) -> None:
        for path, existed, value in reversed(self._record):
            _restore(self.config, path, existed, value)
        self._record = []


def _copied(node: Any) -> dict:
    """One level of a nested mapping, anew."""
    if isinstance(node, dict):
        return node.copy()
    return dict(node) if isinstance(node, Mapping) else {}


def _restore(node: dict, path: tuple[str, ...], existed: bool, value: Any) -> None:
    key = path[0]
    if len(path) > 1:
        below = node.get(key)
        if not existed and not isinstance(below, Mapping):
            return
        below = _copied(below)
        _restore(below, path[1:], existed, value)
        node[key] = below
    elif existed:
        node[key] = value
    else:
        node.pop(key, None)


def collect(paths: Sequence[str | os.PathLike] = paths, env: Mapping[str, str] | None = None) -> dict:
    """What files and environment say, without the defaults.

    Parameters
    ----------
    paths : list of path
        Files and directories, least important first.
    env : Mapping, optional
        Environment variables; ``os.environ`` where None.

    Returns
    -------
    dict
        Outdated names are renamed, with one FutureWarning for each that no more important source overrides.

    Examples
    --------
    >>> collect([], env={"WEFT_ARRAY__CHUNK_SIZE": "1MiB"})
    {'array': {'chunk_size': '1MiB'}}
    """
    result: dict[str, Any] = {}
    warned: builtins.set[str] = builtins.set()
    for source in reversed([*collect_yaml(paths), collect_env(env)]):
        for old, new in rename(config=source).items():
            if old in warned:
                continue
            warned.add(old)
            try:
                get(new or f"ignore-deprecated.{old}", config=result)
            except (KeyError, TypeError, IndexError):
                warnings.warn(_deprecation(old, new, ignorable=True), FutureWarning, stacklevel=2)
        update(result, source, priority="old")
    return result


def refresh(
    config: dict | None = None,
    defaults: list[Mapping] = defaults,
    paths: Sequence[str | os.PathLike] = paths,
    env: Mapping[str, str] | None = None,
) -> None:
    """Read defaults, files and environment again; what :func:`set` changed is forgotten.

    Parameters
    ----------
    config : dict, optional
        What is filled; the global configuration where None.
    defaults, paths, env
        The sources, as in :func:`collect`.

    Examples
    --------
    >>> settings = {}
    >>> refresh(settings, defaults=[{"a": 1, "b": 1}], paths=[], env={"WEFT_B": "2"})
    >>> settings
    {'a': 1, 'b': 2}
    """
    if config is None:
        config = _global()
    fresh = merge(*defaults, collect(paths=paths, env=env))
    with config_lock:
        # In place, for whoever holds the dictionary; no name is missing in between.
        config.update(fresh)
        for key in [k for k in config if k not in fresh]:
            del config[key]


def get(key: str, default: Any = no_default, config: dict | None = None, override_with: Any = None) -> Any:
    """The value of a setting.

    Parameters
    ----------
    key : str
        Its name, with dots.
    default : optional
        Returned where it is not set.
    config : dict, optional
        Where to look; the global configuration where None.
    override_with : optional
        Returned at once unless None: for an argument whose default is a setting.

    Raises
    ------
    KeyError
        The setting does not exist and there is no ``default``.

    Examples
    --------
    >>> import weft
    >>> weft.config.get("array.svg.size")
    120
    >>> weft.config.get("no.such.setting", default=1)
    1
    >>> weft.config.get("array.svg.size", override_with=3)
    3

    See Also
    --------
    set
    """
    if override_with is not None:
        return override_with
    if config is None:
        config = _config if _loaded else _global()
    node: Any = config
    try:
        for k in key.split("."):
            node = node[k]
        return node
    except (KeyError, TypeError, IndexError):
        pass
    node = config
    for k in key.split("."):
        try:
            node = node[canonical_name(k, node)]
        except (KeyError, TypeError, IndexError):
            if default is no_default:
                raise
            return default
    return node


def pop(key: str, default: Any = no_default, config: dict | None = None) -> Any:
    """Take a setting out of the configuration.

    Parameters
    ----------
    key : str
        Its name, with dots.
    default : optional
        Returned where it is not set.
    config : dict, optional
        Where to look; the global configuration where None.

    Raises
    ------
    KeyError
        The setting does not exist and there is no ``default``.

    Examples
    --------
    >>> settings = {"a": {"b": 1, "c": 2}}
    >>> pop("a.b", config=settings)
    1
    >>> settings
    {'a': {'c': 2}}
    """
    node: Any = _global() if config is None else config
    *above, last = key.split(".")
    try:
        for k in above:
            node = node[canonical_name(k, node)]
        return node.pop(canonical_name(last, node))
    except (KeyError, TypeError, IndexError, AttributeError):
        if default is no_default:
            raise
        return default


def update_defaults(new: Mapping, config: dict | None = None, defaults: list[Mapping] = defaults) -> None:
    """Add defaults, for libraries that bring settings of their own.

    A value that the user changed stays; one that still is the old default becomes the new one.

    Parameters
    ----------
    new : Mapping
        The defaults, nested.
    config : dict, optional
        What is updated; the global configuration where None.
    defaults : list of Mapping
        Where ``new`` is remembered for :func:`refresh`.

    Examples
    --------
    >>> settings, known = {"a": 1, "b": 5}, [{"a": 1, "b": 2}]
    >>> update_defaults({"a": 10, "b": 20}, settings, known)
    >>> settings
    {'a': 10, 'b': 5}
    """
    if config is None:
        config = _global()
    with config_lock:
        changed = merge(config)  # new dictionaries, the same values
        update(changed, new, priority="new-defaults", defaults=merge(*defaults))
        defaults.append(new)
        config.update(changed)


def expand_environment_variables(config: Any) -> Any:
    """Replace ``$NAME`` in every text of a nested configuration.

    Examples
    --------
    >>> import os
    >>> os.environ["SCRATCH_DEMO"] = "/scratch"
    >>> expand_environment_variables({"x": [1, "$SCRATCH_DEMO/x"]})
    {'x': [1, '/scratch/x']}
    """
    if isinstance(config, Mapping):
        return {k: expand_environment_variables(v) for k, v in config.items()}
    if isinstance(config, str):
        return os.path.expandvars(config)
    if isinstance(config, (list, tuple, builtins.set)):
        return type(config)(expand_environment_variables(v) for v in config)
    return config


def rename(
    deprecations: Mapping[str, str | None] = deprecations, config: dict | None = None
) -> dict[str, str | None]:
    """Move values from outdated names to current ones, in place.

    Returns
    -------
    dict
        The outdated names that were found, with their current ones.

    Examples
    --------
    >>> import warnings
    >>> settings = {"old": 1}
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     rename({"old": "new.place"}, settings)
    {'old': 'new.place'}
    >>> settings
    {'new': {'place': 1}}
    """
    if config is None:
        config = _global()
    found: dict[str, str | None] = {}
    for old, new in deprecations.items():
        try:
            value = pop(old, config=config)
        except (KeyError, TypeError, IndexError, AttributeError):
            continue
        found[old] = new
        if new:
            set({new: value}, config=config)
    return found


def _deprecation(key: str, new: str | None, ignorable: bool = False) -> str:
    if new:
        return f"weft configuration key {key!r} has been deprecated; please use {new!r} instead"
    text = f"weft configuration key {key!r} has been removed"
    if ignorable:
        text += (
            f"; set 'ignore-deprecated.{key}' in a more important file or variable to be rid of this warning"
        )
    return text


def check_deprecations(key: str, deprecations: Mapping[str, str | None] = deprecations) -> str:
    """The current name of a setting.

    Warns
    -----
    FutureWarning
        The name is outdated.

    Raises
    ------
    ValueError
        The setting was removed.

    Examples
    --------
    >>> check_deprecations("array.chunk-size")
    'array.chunk-size'
    """
    old = key.replace("_", "-")
    if old not in deprecations:
        return key
    new = deprecations[old]
    if not new:
        raise ValueError(_deprecation(key, None))
    warnings.warn(_deprecation(key, new), FutureWarning, stacklevel=3)
    return new


def serialize(data: Any) -> str:
    """A configuration as one word, to pass on in ``WEFT_INTERNAL_INHERIT_CONFIG``.

    Examples
    --------
    >>> deserialize(serialize({"array": {"svg": {"size": 80}}}))
    {'array': {'svg': {'size': 80}}}
    """
    import base64
    import json

    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode()


def deserialize(data: str) -> Any:
    """The inverse of :func:`serialize`.

    Examples
    --------
    >>> deserialize(serialize({"a": 1}))
    {'a': 1}
    """
    import base64
    import json

    return json.loads(base64.urlsafe_b64decode(data.encode()).decode())
