"""Who may talk to a cluster: tokens, and certificates for TLS."""

from __future__ import annotations

import os
from typing import Any

from weft import config

__all__ = ["Security"]

ROLES = ("client", "scheduler", "worker")


class Security:
    """Certificates, and what a cluster's processes must know.

    Connections to ``tls://`` addresses are encrypted by TLS 1.3, and both sides must show a certificate by one of the
    authorities. What is not given comes from the settings ``distributed.comm.tls.*``.

    Parameters
    ----------
    require_encryption : bool, optional
        Refuse addresses without TLS. By default, if there are certificates.
    token : str, optional
        A secret that both sides must know, beside or in place of certificates.
    tls_ca_file : str, optional
        Certificates of authorities: a file in PEM format, or its contents.
    tls_client_cert, tls_client_key, tls_scheduler_cert, tls_scheduler_key, tls_worker_cert, tls_worker_key : str, optional
        Certificate and key of each role: files, or their contents.

    Raises
    ------
    TypeError
        An argument is unknown.

    Examples
    --------
    >>> security = Security.temporary()
    >>> security.require_encryption
    True
    """

    def __init__(self, require_encryption: bool | None = None, token: str | None = None, **kwargs: Any):
        known = {"tls_ca_file"} | {f"tls_{role}_{part}" for role in ROLES for part in ("cert", "key")}
        # What Dask takes beside these and TLS 1.3 alone leaves no choice about.
        ignored = {"tls_ciphers", "tls_min_version", "tls_max_version", "extra_conn_args"}
        unknown = sorted(set(kwargs) - known - ignored)
        if unknown:
            raise TypeError(f"Security got arguments that it does not know: {', '.join(unknown)}")
        self.token = token
        for name in sorted(known):
            value = kwargs.get(name)
            if value is None:
                setting = name.removeprefix("tls_").replace("_", ".")
                setting = "ca-file" if name == "tls_ca_file" else setting
                value = config.get(f"distributed.comm.tls.{setting}", None)
            setattr(self, name, value)
        if require_encryption is None:
            require_encryption = config.get("distributed.comm.require-encryption", None)
        if require_encryption is None:
            require_encryption = self.tls_ca_file is not None  # type: ignore[attr-defined]
        self.require_encryption = bool(require_encryption)

    @classmethod
    def temporary(cls, **kwargs: Any) -> Security:
        """New certificates, known to nobody else: for a cluster that this program starts.

        Returns
        -------
        Security
        """
        from weft import _weft

        authority, certificate, key = _weft.temporary_certificates()
        parts = {f"tls_{role}_cert": certificate for role in ROLES} | {
            f"tls_{role}_key": key for role in ROLES
        }
        return cls(**{"require_encryption": True, "tls_ca_file": authority, **parts, **kwargs})

    def pem(self, role: str) -> tuple[str, str, str] | None:
        """Authorities, certificate and key of a role as texts; None: there are no certificates.

        Raises
        ------
        ValueError
            Some of the three are there, but not all.
        """
        names = ("tls_ca_file", f"tls_{role}_cert", f"tls_{role}_key")
        values = [getattr(self, name) for name in names]
        if values[0] is None and values[1] is None:
            return None
        if values[2] is None and values[1] is not None:
            # One file may hold both.
            values[2] = values[1]
        missing = [name for name, value in zip(names, values) if value is None]
        if missing:
            raise ValueError(f"for TLS Security also needs {' and '.join(missing)}")
        authorities, certificate, key = map(_text, values)
        return authorities, certificate, key

    def get_tls_config_for_role(self, role: str) -> dict[str, Any]:
        """The certificates of a role, by the names that Dask gives them."""
        return {
            "ca_file": self.tls_ca_file,  # type: ignore[attr-defined]
            "cert": getattr(self, f"tls_{role}_cert"),
            "key": getattr(self, f"tls_{role}_key"),
        }

    def __repr__(self) -> str:
        names = [f"tls_{role}_{part}" for role in ROLES for part in ("cert", "key")]
        given = [name for name in ("tls_ca_file", *names) if getattr(self, name) is not None]
        shown = [f"{name}={_shown(getattr(self, name))}" for name in given]
        return (
            f"Security(require_encryption={self.require_encryption}{''.join(', ' + text for text in shown)})"
        )


def _text(value: Any) -> str:
    if isinstance(value, str) and "\n" in value:
        return value
    with open(os.fspath(value)) as file:
        return file.read()


def _shown(value: Any) -> str:
    return "Temporary (In-memory)" if isinstance(value, str) and "\n" in value else repr(value)


def certificates(security: Any, role: str, address: str) -> tuple[str, str, str] | None:
    """What a process shows on connections to an address.

    Raises
    ------
    ValueError
        The address needs certificates and there are none, or they forbid the address.
    """
    security = security if isinstance(security, Security) else Security()
    pem = security.pem(role)
    if pem is None and address.startswith("tls://"):
        raise ValueError(
            f"{address} needs certificates: give security=Security(tls_ca_file=…, tls_{role}_cert=…, tls_{role}_key=…)"
        )
    if security.require_encryption and address.startswith("tcp://"):
        raise ValueError(f"encryption is required, and {address} has none: use tls:// in place of tcp://")
    return pem if address.startswith("tls://") else None
