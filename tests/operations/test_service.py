"""The files that docs/operations.md gives to operators: a unit for systemd, paths, a proxy in front."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from aiohttp import ClientSession, WSServerHandshakeError

from sttgate.config import load_config
from sttgate.config.model import ServerConfig
from sttgate.operations import descriptors
from sttgate.protocols.native import PATH
from sttgate.testing import tone
from tests.cli.commands import SCRIPT, configure, serve
from tests.docs.pages import block
from tests.gateways import finals, receive_until

PAGE = "docs/operations.md"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin:/usr/local/bin")
VERIFY = shutil.which("systemd-analyze")
SETTLING = 10  # seconds: those of the page


def test_the_unit_agrees_with_the_defaults() -> None:
    """Descriptors and time to stop are those that the default configuration needs."""
    unit = dict(re.findall(r"^(\w+)=(.*)$", block(PAGE, "systemd"), re.MULTILINE))
    server = ServerConfig.model_validate({})
    assert int(unit["LimitNOFILE"]) >= descriptors.needed(server.max_sessions, None)
    drain = server.lame_duck_s + server.drain_timeout_s + SETTLING
    assert drain <= int(unit["TimeoutStopSec"]) <= drain + 10


@pytest.mark.skipif(VERIFY is None, reason="systemd-analyze is not here (Debian: systemd)")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """``systemd-analyze verify`` has nothing to say, once the program is there."""
    unit = block(PAGE, "systemd").replace("/opt/sttgate/bin/sttgate", sys.executable)
    path = tmp_path / "sttgate.service"
    path.write_text(unit)
    assert VERIFY is not None
    ran = subprocess.run(
        [VERIFY, "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
    )
    about_us = [line for line in ran.stderr.splitlines() if "sttgate" in line]
    assert about_us == []


def test_the_paths_are_where_the_unit_may_write(tmp_path: Path) -> None:
    """Every file and folder of the configuration lies in the service's own folder."""
    path = tmp_path / "config.yaml"
    path.write_text(block(PAGE, "service-paths") + "providers: {echo: {}}\n")
    config = load_config(path, environ={}, cwd=tmp_path)
    places = re.findall(r"(?:path|keys|secret): (/\S+)$", config.dump(), re.MULTILINE)
    assert len(places) == 6
    assert all(place.startswith("/var/lib/sttgate/") for place in places)


def test_prometheus_finds_the_port(tmp_path: Path) -> None:
    """The job has the port of the example configuration, and the name of the alerts' job."""
    (job,) = yaml.safe_load(block(PAGE, "prometheus"))["scrape_configs"]
    assert job["job_name"] == "sttgate"
    assert job["static_configs"] == [{"targets": ["127.0.0.1:9464"]}]
    example = Path(load_config.__code__.co_filename).parent / "default.yaml"
    assert "# port: 9464" in example.read_text("utf-8")


@contextmanager
def nginx(folder: Path, upstream: str) -> Iterator[str]:
    """Serve the page's configuration without TLS in front of ``upstream``; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = block(PAGE, "nginx")
    server = server.replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    server = re.sub(r" *ssl_certificate.*\n", "", server)
    server = server.replace("http://127.0.0.1:8000", upstream)
    server = server.replace("/var/log/nginx/sttgate.log", str(folder / "access.log"))
    temporary = "".join(
        f"{kind}_temp_path {folder / kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder / 'pid'};\nerror_log {folder / 'error.log'};\n"
        f"events {{}}\nhttp {{\n{temporary}{server}}}\n"
    )
    assert NGINX is not None
    process = subprocess.Popen(
        [
            NGINX,
            "-p",
            str(folder),
            "-c",
            str(folder / "nginx.conf"),
            "-e",
            str(folder / "error.log"),
        ],
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 20
        while not (folder / "pid").exists() or not _listens(port):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(NGINX is None, reason="nginx is not here (Debian: apt install nginx-light)")
async def test_nginx_in_front(tmp_path: Path) -> None:
    """Sessions pass through, pages of its own host too; metrics and queries of addresses do not."""
    configure(tmp_path, limits={"trusted_proxies": ["127.0.0.1/32"], "connects_per_minute": 3})
    proxy = tmp_path / "nginx"
    proxy.mkdir()
    with serve(tmp_path) as (_, url), nginx(proxy, url) as front:
        async with ClientSession(front) as client:
            headers = {"Origin": front, "X-Forwarded-For": "192.0.2.1"}
            path = f"{PATH}?protocol=2&token=quicksilver"
            async with client.ws_connect(path, headers=headers) as ws:
                await ws.send_json({"event": "start"})
                await ws.send_bytes(tone(6.0))
                await ws.send_json({"event": "stop"})
                assert finals(await receive_until(ws, "stopped")) == list(SCRIPT)
            with pytest.raises(WSServerHandshakeError, match="403"):
                await client.ws_connect(path, headers={"Origin": "https://elsewhere.example"})
            async with client.get("/metrics") as response:
                assert response.status == 403
            async with client.get("/readyz") as response:
                assert response.status == 200
    log = (proxy / "access.log").read_text()
    assert "quicksilver" not in log
    assert f'"GET {PATH}" 101' in log
