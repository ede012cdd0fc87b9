"""The programs and files printed in the documentation work when they are copied."""

from __future__ import annotations

import asyncio
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from sttgate.app import create_app
from sttgate.config import load_config
from sttgate.errors import ConfigError
from sttgate.gateway import Gateway
from sttgate.protocols.native import PATH
from sttgate.testing import silence, tone
from tests.docs.pages import ROOT, block, read, section, table
from tests.docs.processes import environment, run, serving
from tests.docs.test_readme import write_wav
from tests.gateways import build_config, finals, receive_until, scripted

pytestmark = pytest.mark.timeout(240)  # several processes, on a machine that may be busy

GUIDE = "docs/plugins.md"
EXAMPLES = ROOT / "examples"


def _tutorial(folder: Path) -> Path:
    """Do steps 1 to 4 of the guide in ``folder``."""
    (folder / "plugins").mkdir()
    (folder / "plugins" / "loudness.py").write_text(block(GUIDE, "loudness.py"))
    (folder / "config.yaml").write_text(block(GUIDE, "loudness.yaml"))
    (folder / "test_loudness.py").write_text(block(GUIDE, "test_loudness.py"))
    return folder


async def test_tutorial_plugin_transcribes(tmp_path: Path, aiohttp_client: AiohttpClient) -> None:
    """The plugin of the guide, dropped into a folder, serves a session with all it promises."""
    config = load_config(_tutorial(tmp_path) / "config.yaml", environ={}, cwd=tmp_path)
    client = await aiohttp_client(create_app(Gateway.from_config(config)))
    async with client.ws_connect(f"{PATH}?protocol=2") as socket:
        await socket.send_str('{"event":"start"}')
        for piece in (silence(0.3), tone(0.3), tone(0.3), silence(0.3), tone(0.3)):
            await socket.send_bytes(piece)
        await socket.send_str('{"event":"finalize","id":7}')
        messages = await receive_until(socket, "finalized")
        await socket.send_str('{"event":"stop"}')
        messages += await receive_until(socket, "stopped")
    assert len(finals(messages)) == 2
    assert all(text.startswith("loud for 0.") for text in finals(messages))
    assert messages[-1]["stored"] == {"transcript": True, "audio": True}


async def test_tutorial_commands_work(tmp_path: Path) -> None:
    """The commands of the guide find the plugin, its options, and a misspelt one."""
    folder = _tutorial(tmp_path)
    wav = write_wav(folder / "talk.wav")
    checked = await run("-m", "sttgate", "config", "check", cwd=folder)
    assert (checked.code, checked.out) == (0, ""), checked
    shown = await run("-m", "sttgate", "plugins", "show", "loudness", cwd=folder)
    assert "The level that counts as loud." in shown.out
    heard = await run("-m", "sttgate", "transcribe", wav.name, cwd=folder)
    assert heard.out == "loud for 1.0 seconds\n", heard
    wrong = block(GUIDE, "loudness.yaml").replace("threshold", "treshold")
    (folder / "config.yaml").write_text(wrong)
    told = await run("-m", "sttgate", "config", "check", cwd=folder)
    assert "config.yaml:3:5 providers.loudness.treshold" in told.out
    assert "did you mean 'threshold'?" in told.out


async def test_tutorial_test_passes(tmp_path: Path) -> None:
    """The test of the guide passes, with the command of the guide."""
    folder = _tutorial(tmp_path)
    path = f"plugins:{environment()['PYTHONPATH']}"
    done = await run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_loudness.py"),
        cwd=folder,
        env=environment(PYTHONPATH=path),
    )
    assert "1 passed" in done.out, done


async def test_tutorial_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    """Built as the guide says and installed, the plugin is there without a drop-in folder."""
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    (source / "loudness.py").write_text(block(GUIDE, "loudness.py"))
    (source / "pyproject.toml").write_text(block(GUIDE, "pyproject.toml"))
    build = "from setuptools import build_meta; build_meta.build_wheel('.')"
    built = await run("-W", "ignore", "-c", build, cwd=source)
    assert built.code == 0, built.err
    with zipfile.ZipFile(next(source.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    env = environment(PYTHONPATH=f"{site}:{environment()['PYTHONPATH']}")
    listed = await run("-m", "sttgate", "plugins", "list", "--json", cwd=tmp_path, env=env)
    found = next(row for row in json.loads(listed.out) if row["name"] == "loudness")
    assert (found["state"], found["origin"]) == ("loaded", "entry point")
    assert found["distribution"] == "sttgate-loudness"


@pytest.fixture
def echo_folder(tmp_path: Path) -> Path:
    """Return a folder with a configuration that echoes and a file that lasts three seconds."""
    (tmp_path / "config.yaml").write_text(block("docs/configuration.md", "echo-only"))
    write_wav(tmp_path / "talk.wav", 2.0, 8_000)
    return tmp_path


async def test_example_client_streams_a_file(echo_folder: Path) -> None:
    """examples/client.py prints finals on stdout and interims on stderr, in step with the file."""
    client = str(EXAMPLES / "client.py")
    async with serving(cwd=echo_folder) as url:
        done = await run(client, "talk.wav", "--gateway", url, cwd=echo_folder)
    assert done.code == 0, done
    assert done.out.splitlines() == ["Hello there.", "This"], done
    assert "… Hello\n" in done.err
    assert "[session " in done.err


async def test_example_client_streams_a_pipe(echo_folder: Path) -> None:
    """examples/client.py takes raw audio on stdin."""
    client = str(EXAMPLES / "client.py")
    async with serving(cwd=echo_folder) as url:
        arguments = (client, "-", "--gateway", url)
        done = await run(*arguments, cwd=echo_folder, stdin=tone(1.0))
    assert (done.code, done.out) == (0, "Hello there.\n"), done


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("talk.wav", "--provider", "nobody"), "There is no provider 'nobody' here."),
        (("nothing.wav",), "No such file"),
        (("config.yaml",), "client.py: "),
    ],
)
async def test_example_client_says_what_is_wrong(
    echo_folder: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    """examples/client.py ends with one sentence and 1 when it cannot do its work."""
    client = str(EXAMPLES / "client.py")
    async with serving(cwd=echo_folder) as url:
        done = await run(client, *arguments, "--gateway", url, cwd=echo_folder)
    assert done.code == 1, done
    assert sentence in done.err
    assert "Traceback" not in done.err


async def test_client_of_the_package_prints_finals(echo_folder: Path) -> None:
    """The program in docs/clients.md that uses sttgate.client works."""
    (echo_folder / "with_sttgate.py").write_text(block("docs/clients.md", "with_sttgate.py"))
    async with serving(cwd=echo_folder) as url:
        done = await run("with_sttgate.py", url, "talk.wav", cwd=echo_folder)
    assert done.out.splitlines() == ["Hello there.", "This"], done


def test_browser_example_shows_words_as_text_only() -> None:
    """The page never makes markup of what somebody said, and names the worklet's file."""
    page = (EXAMPLES / "browser" / "index.html").read_text("utf-8")
    assert "innerHTML =" not in page
    assert "insertAdjacentHTML" not in page
    assert 'addModule("worklet.js")' in page
    assert (EXAMPLES / "browser" / "worklet.js").exists()


async def test_rest_answers_have_the_printed_fields(
    tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    """A stored session over REST has exactly the fields docs/rest.md prints."""
    gateway = Gateway.from_config(build_config(tmp_path, providers=scripted(("hello there",))))
    client = await aiohttp_client(create_app(gateway))
    async with client.ws_connect(f"{PATH}?protocol=2") as socket:
        await socket.send_str('{"event":"start","title":"demo"}')
        await socket.send_bytes(tone(1.0))
        await socket.send_str('{"event":"mark","label":"greeting"}')
        await socket.send_str('{"event":"stop"}')
        links = (await receive_until(socket, "stopped"))[-1]["links"]
    answer = await (await client.get(links["session"])).json()
    printed = json.loads(block("docs/rest.md", "session"))
    assert list(answer) == list(printed)
    assert list(answer["utterances"][0]) == list(printed["utterances"][0])
    assert list(answer["marks"][0]) == list(printed["marks"][0])
    assert list(answer["usage"]) == list(printed["usage"])
    assert list(answer["links"]) == list(printed["links"])
    problem = await (await client.get(f"{links['session']}0")).json()
    assert problem == json.loads(block("docs/rest.md", "problem"))
    audio = await client.get(links["audio"], headers={"Range": "bytes=0-43"})
    assert audio.status == 206
    assert await (await client.get("/livez")).json() == {"status": "ok"}
    ready = await (await client.get("/readyz")).json()
    assert ready == json.loads(block("docs/operations.md", "readyz"))
    metrics = await (await client.get("/metrics")).text()
    for row in table(section(read("docs/operations.md"), "Metrics")):
        assert row[0].strip("`") in metrics


async def test_rest_commands_work(tmp_path: Path, aiohttp_client: AiohttpClient) -> None:
    """The commands of docs/rest.md transcribe a file, find, fetch, name and delete its session."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    gateway = Gateway.from_config(build_config(tmp_path, providers=scripted(("hello there",))))
    client = await aiohttp_client(create_app(gateway))
    write_wav(tmp_path / "talk.wav")
    commands = block("docs/rest.md", "curl").replace("127.0.0.1:8000", f"127.0.0.1:{client.port}")
    process = await asyncio.create_subprocess_exec(
        "sh", "-e", cwd=tmp_path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate(commands.encode())
    assert process.returncode == 0
    assert b'"code"' not in printed, printed  # no problem
    assert "event: done" in (tmp_path / "progress.txt").read_text()
    assert (tmp_path / "head.bin").read_bytes().startswith(b"RIFF")
    assert "hello there" in (tmp_path / "talk.srt").read_text()
    [session] = (await (await client.get("/api/v1/sessions?q=hello")).json())["sessions"]
    assert (session["title"], session["recording"]) == ("Stand-up", False)


@pytest.mark.parametrize(
    "name", ["two-deepgrams", "deepgram-only", "local-only", "deepgram-eu", "echo-only"]
)
def test_recipe_loads(name: str, tmp_path: Path) -> None:
    """Every configuration printed in docs/configuration.md is a good one."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "deepgram").write_text("key\n")
    (tmp_path / "config.yaml").write_text(block("docs/configuration.md", name))
    config = load_config(tmp_path / "config.yaml", environ={"DEEPGRAM_API_KEY": "k"}, cwd=tmp_path)
    assert set(config.chain) <= set(config.providers)


def test_mistakes_are_reported_as_printed(tmp_path: Path) -> None:
    """The wrong configuration in docs/configuration.md gives the messages below it."""
    path = tmp_path / "config.yaml"
    path.write_text(block("docs/configuration.md", "mistakes"))
    with pytest.raises(ConfigError) as raised:
        load_config(path, environ={}, cwd=tmp_path)
    assert f"{raised.value}\n" == block("docs/configuration.md", "mistakes-found")


def test_example_of_dotenv_is_read(tmp_path: Path) -> None:
    """.env.example, with its comments taken away, sets what it says."""
    text = (ROOT / ".env.example").read_text("utf-8").replace("# STTGATE__", "STTGATE__")
    (tmp_path / ".env").write_text(text.replace("API_KEY=", "API_KEY=secret"))
    (tmp_path / ".env").chmod(0o600)
    config = load_config(None, environ={}, cwd=tmp_path)
    assert config.server.port == 9000
    assert config.providers["deepgram"].options.model == "nova-2"  # type: ignore[attr-defined]
    assert not config.warnings


def test_license_is_the_one_the_project_names() -> None:
    """LICENSE is the unchanged text of the Apache License 2.0."""
    import hashlib

    digest = hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest()
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
