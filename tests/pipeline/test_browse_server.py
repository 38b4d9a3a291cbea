from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from fastapi import FastAPI

from pipeline.browse.server import run_server
from pipeline.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


def serve(folder: Path, *, host: str = "127.0.0.1") -> subprocess.Popen[str]:
    """The gallery of an empty workspace on a free port; its first line of output is its address."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pipeline.browse.server import run_server\n"
        "from tests.support.gallery import gallery_of\n"
        "from tests.support.inverting import workshop\n"
        "with workshop(Path(sys.argv[1])) as shop:\n"
        "    run_server(gallery_of(shop), host=sys.argv[2], port=0, on_ready=lambda url: print(url, flush=True))\n"
        "print('ended', flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(folder), host]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a POSIX signal")
def test_it_serves_at_the_address_it_names_until_ctrl_c(tmp_path):
    server = serve(tmp_path)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert not url.endswith(":0/")
        with urllib.request.urlopen(url, timeout=30) as answer:
            assert b"No pictures yet" in answer.read()
            assert "server" not in answer.headers
        # A browser that keeps its connection must not keep the server from ending.
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1].strip("/")))):
            time.sleep(0.5)  # until the server has taken it
            server.send_signal(signal.SIGINT)
            out, err = server.communicate(timeout=30)
    finally:
        server.kill()
        server.wait()

    assert server.returncode == 0
    assert out == "ended\n"
    assert err == ""


def test_a_taken_port_is_said_with_a_way_out():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} .*--port 0"):
            run_server(FastAPI(), host="127.0.0.1", port=port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_of_another_machine_is_said_with_a_way_out(host):
    with pytest.raises(UsageError, match=r"--host 127\.0\.0\.1"):
        run_server(FastAPI(), host=host, port=0)
