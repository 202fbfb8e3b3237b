"""Who is let in, and what becomes of those who are not."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct

import pytest
from weft import _weft
from weft.distributed import Client, LocalCluster, Security


def inc(x):
    return x + 1


@pytest.fixture(scope="module")
def secure():
    """A cluster with certificates of its own."""
    security = Security.temporary()
    with LocalCluster(
        n_workers=1, threads_per_worker=1, memory_limit=0, security=security, dashboard_address=":0"
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def plain():
    """A cluster with a token alone, over TCP."""
    with LocalCluster(n_workers=1, threads_per_worker=1, memory_limit=0, dashboard_address=":0") as cluster:
        yield cluster


def place(cluster):
    host, port = cluster.scheduler_address.split("://")[1].split(":")
    return host, int(port)


def hung_up(stranger):
    """Reads until the other side hangs up; what it said."""
    said = b""
    with contextlib.suppress(ConnectionResetError, ssl.SSLError, BrokenPipeError):
        while chunk := stranger.recv(1000):
            said += chunk
    return said


def refusals(cluster, tools):
    """Waits for the scheduler's word on a stranger."""
    lines = []

    def some():
        lines.extend(line for line in cluster._server.warnings() if "refused a connection" in line)
        return lines

    tools.until(some)
    return lines


def memory_of_this_process():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_tls_both_ways(secure):
    assert secure.scheduler_address.startswith("tls://")
    # By the cluster, and by address from elsewhere.
    with Client(secure) as client:
        assert client.submit(inc, 1).result(60) == 2
    with Client(secure.scheduler_address, security=secure.security, set_as_default=False) as client:
        assert client.gather(client.map(inc, range(100))) == list(range(1, 101))


def test_tls_by_files(start, tmp_path, secure):
    names = {}
    for name, text in zip(("ca", "cert", "key"), secure.security.pem("worker"), strict=True):
        names[name] = tmp_path / f"{name}.pem"
        names[name].write_text(text)
    tls = ["--tls-ca-file", names["ca"], "--tls-cert", names["cert"], "--tls-key", names["key"]]
    where = tmp_path / "scheduler.json"
    scheduler = start("scheduler", "--port", 0, "--scheduler-file", where, "--no-dashboard", *tls)
    scheduler.wait_for("Scheduler at: tls://")
    start("worker", "--scheduler-file", where, "--nthreads", 1, *tls)
    security = Security(
        tls_ca_file=str(names["ca"]), tls_client_cert=str(names["cert"]), tls_client_key=str(names["key"])
    )
    with Client(scheduler_file=str(where), security=security, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)
        (address,) = client.nthreads()
        assert address.startswith("tls://")
        assert client.submit(inc, 1).result(60) == 2


def test_other_certificates_and_none_are_refused(secure, tools):
    with pytest.raises(OSError, match=r"certificate|alert|TLS"):
        Client(secure.scheduler_address, security=Security.temporary(), timeout=5)
    with pytest.raises(ValueError, match="needs certificates"):
        Client(secure.scheduler_address, timeout=5)
    # A plain connection to the port, and TLS without a certificate.
    with socket.create_connection(place(secure)) as stranger:
        stranger.sendall(b"weft" + bytes(68))
        # At most an alert of TLS.
        assert len(hung_up(stranger)) < 20
    refusals(secure, tools)
    context = ssl.create_default_context(cadata=secure.security.tls_ca_file)
    context.check_hostname = False
    with (
        socket.create_connection(place(secure)) as raw,
        contextlib.suppress(ssl.SSLError, ConnectionResetError),
    ):
        with context.wrap_socket(raw) as stranger:
            assert hung_up(stranger) == b""
    with Client(secure) as client:
        assert client.submit(inc, 5).result(60) == 6


def test_encryption_that_is_required_is_not_left_out(plain):
    with pytest.raises(ValueError, match="encryption is required"):
        Client(plain.scheduler_address, security=Security(require_encryption=True), timeout=5)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        # A length of 4 GB, where a frame would begin.
        struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFFF) + bytes(100),
        # Our opening, then a proof that is none, then a frame of 4 GB.
        b"weft" + struct.pack("<I", 1) + bytes(64) + struct.pack("<IIQ", 0xFFFFFFFF, 1, 1 << 40),
        os.urandom(4096),
    ],
    ids=["nothing", "http", "length", "proof", "random"],
)
def test_strangers_are_hung_up_on_and_logged(plain, tools, said):
    plain._server.warnings()
    before = memory_of_this_process()
    with socket.create_connection(place(plain)) as stranger:
        with contextlib.suppress(OSError):
            stranger.sendall(said)
            stranger.shutdown(socket.SHUT_WR)
        # The server's opening is all that anybody hears.
        heard = hung_up(stranger)
    assert len(heard) <= 40 and heard[:4] in (b"weft", b"")
    refusals(plain, tools)
    assert memory_of_this_process() - before < 64 << 20
    with Client(plain, set_as_default=False) as client:
        assert client.submit(inc, 1).result(60) == 2


def test_a_bad_token_is_refused_and_logged(plain, tools):
    plain._server.warnings()
    with pytest.raises(OSError, match="token"):
        _weft.ClusterClient(plain.scheduler_address, "wrong", "stranger", 10.0)
    assert any("token" in line for line in refusals(plain, tools))


def test_what_was_recorded_opens_no_other_connection(plain, tools):
    """A caller's side of an introduction, said again word by word."""
    recorded = b""
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        import threading

        def listen():
            nonlocal recorded
            caller, _ = listener.accept()
            with caller, socket.create_connection(place(plain)) as server:
                caller.sendall(server.recv(40, socket.MSG_WAITALL))
                recorded = caller.recv(72, socket.MSG_WAITALL)
                server.sendall(recorded)
                caller.sendall(server.recv(32, socket.MSG_WAITALL))

        thread = threading.Thread(target=listen)
        thread.start()
        with contextlib.suppress(OSError):
            _weft.ClusterClient(
                f"tcp://127.0.0.1:{listener.getsockname()[1]}", plain._token, "recorded", 0.5
            ).close()
        thread.join()
    assert len(recorded) == 72
    plain._server.warnings()
    with socket.create_connection(place(plain)) as again:
        assert again.recv(40, socket.MSG_WAITALL)[:4] == b"weft"
        again.sendall(recorded)
        assert hung_up(again) == b""
    assert any("token" in line for line in refusals(plain, tools))


def test_securities_say_what_is_missing(tmp_path):
    with pytest.raises(TypeError, match="tls_cert"):
        Security(tls_cert="x")
    with pytest.raises(ValueError, match="tls_ca_file"):
        Security(tls_client_cert=str(tmp_path / "c.pem")).pem("client")
    security = Security.temporary()
    assert "BEGIN" not in repr(security) and "Temporary" in repr(security)
    with pytest.raises(ValueError, match="private key"):
        _weft.ClusterClient(
            "tls://127.0.0.1:1", "", "x", 1.0, (security.tls_ca_file, security.tls_client_cert, "no")
        )
