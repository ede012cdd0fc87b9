"""``sttgate transcribe``: words on stdout, everything else on stderr, nothing lost."""

from __future__ import annotations

import json
import re
import signal
import struct
import wave
from importlib.util import find_spec
from pathlib import Path

import pysubs2
import pytest
import webvtt

from tests.cli.commands import (
    SCRIPT,
    assert_explained,
    configure,
    conversation,
    run,
    serve,
    start,
    stored_sessions,
    wait_for_audio,
    write_wav,
)

TEXT = "".join(f"{sentence}\n" for sentence in SCRIPT)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A WAV file in which the configured echo provider hears all of its script."""
    configure(tmp_path)
    return write_wav(tmp_path / "talk.wav")


def header(encoding: int, rate: int, bits: int) -> bytes:
    """Return the header of a WAV file of four bytes, and four bytes."""
    fields = struct.pack("<HHIIHH", encoding, 1, rate, rate * bits // 8, bits // 8, bits)
    return b"RIFF\x28\0\0\0WAVEfmt \x10\0\0\0" + fields + b"data\4\0\0\0" + bytes(4)


class TestHere:
    """In this process, without a server."""

    def test_text(self, tmp_path: Path, talk: Path) -> None:
        """A pipe gets the words and nothing else; conversation and recording are stored."""
        ran = run(tmp_path, "transcribe", talk)
        assert (ran.code, ran.out, ran.err) == (0, TEXT, "")
        stored = conversation(tmp_path)
        assert stored["text"] == " ".join(SCRIPT)
        assert (stored["state"], stored["title"]) == ("completed", "talk.wav")
        (recording,) = (tmp_path / "recordings").glob("*.wav")
        assert recording.read_bytes()[44:] == talk.read_bytes()[44:]

    def test_json(self, tmp_path: Path, talk: Path) -> None:
        """``-f json`` prints one object a file, with times, words and where it is stored."""
        ran = run(tmp_path, "transcribe", "-f", "json", talk, talk)
        assert ran.code == 0
        first, second = map(json.loads, ran.out.splitlines())
        assert first["session_id"] != second["session_id"]
        assert (first["file"], first["provider"], first["duration_s"]) == ("talk.wav", "echo", 6.0)
        assert first["text"] == " ".join(SCRIPT)
        assert [segment["text"] for segment in first["segments"]] == list(SCRIPT)
        assert first["segments"][0]["words"][0]["word"] == "the"
        assert first["links"]["session"].endswith(first["session_id"])

    def test_subtitles(self, tmp_path: Path, talk: Path) -> None:
        """Subtitles have every word at the time it is said, in a file with the right ending."""
        assert run(tmp_path, "transcribe", "-f", "vtt", talk, "-o", f"{tmp_path}/out/").code == 0
        captions = webvtt.read(tmp_path / "out" / "talk.vtt").captions
        assert " ".join(" ".join(caption.text for caption in captions).split()) == " ".join(SCRIPT)
        ran = run(tmp_path, "transcribe", "-f", "srt", "--no-store", talk)
        subtitles = pysubs2.SSAFile.from_string(ran.out, format_="srt")
        assert [cue.start for cue in subtitles] == [
            round(caption.start_in_seconds * 1000) for caption in captions
        ]

    def test_folder(self, tmp_path: Path, talk: Path) -> None:
        """Several files go into a folder, made if it is not there, under the names they have."""
        write_wav(tmp_path / "other.wav", 2.5)
        ran = run(tmp_path, "transcribe", "talk.wav", "other.wav", "-o", "texts/of today")
        assert (ran.code, ran.out) == (0, "")
        folder = tmp_path / "texts" / "of today"
        assert {path.name for path in folder.iterdir()} == {"talk.txt", "other.txt"}
        assert (folder / "talk.txt").read_text() == TEXT
        assert (folder / "other.txt").read_text().startswith(SCRIPT[0])

    def test_file(self, tmp_path: Path, talk: Path) -> None:
        """One file goes into the file that ``-o`` names, or into a folder if that is one."""
        assert run(tmp_path, "transcribe", talk, "-o", "talk.text").code == 0
        assert (tmp_path / "talk.text").read_text() == TEXT
        assert run(tmp_path, "transcribe", talk, "-o", "texts/", "-f", "json").code == 0
        assert json.loads((tmp_path / "texts" / "talk.json").read_text())["file"] == "talk.wav"

    def test_standard_input(self, tmp_path: Path, talk: Path) -> None:
        """``-`` reads a pipe, also one whose header does not know the length."""
        content = bytearray(talk.read_bytes())
        content[40:44] = b"\xff\xff\xff\xff"
        assert run(tmp_path, "transcribe", "-", stdin=bytes(content)).out == TEXT

    def test_not_stored(self, tmp_path: Path, talk: Path) -> None:
        """``--no-store`` leaves no conversation, no recording and nothing in the spool."""
        ran = run(tmp_path, "transcribe", "--no-store", talk)
        assert (ran.code, ran.out) == (0, TEXT)
        assert stored_sessions(tmp_path) == []
        assert list((tmp_path / "recordings").iterdir()) == []
        assert list((tmp_path / "data" / "spool").iterdir()) == []

    def test_local_engine(self, tmp_path: Path) -> None:
        """The engine that comes with sttgate[local] understands English without key or network."""
        package = find_spec("moonshine_voice")
        assert package is not None, "pip install 'sttgate[local]'"
        assert package.origin is not None
        source = Path(package.origin).parent / "assets" / "two_cities.wav"
        with wave.open(str(source)) as whole, wave.open(str(tmp_path / "a.wav"), "wb") as part:
            part.setparams(whole.getparams())
            part.writeframes(whole.readframes(6 * whole.getframerate()))
        ran = run(tmp_path, "transcribe", "--provider", "moonshine", "a.wav")
        assert ran.code == 0
        assert ran.out.startswith("It was the best of times")
        assert ran.err == ""


class TestThere:
    """On a running server."""

    def test_server(self, tmp_path: Path, talk: Path) -> None:
        """``--server`` has the gateway do the work; the conversation is stored there."""
        (tmp_path / "elsewhere").mkdir()
        with serve(tmp_path) as (running, url):
            ran = run(tmp_path / "elsewhere", "transcribe", "--server", url, talk)
            assert (ran.code, ran.out, ran.err) == (0, TEXT, "")
            running.stop()
        assert list((tmp_path / "elsewhere").iterdir()) == []
        assert conversation(tmp_path)["title"] == "talk.wav"

    def test_what_the_server_refuses(self, tmp_path: Path, talk: Path) -> None:
        """What the server does not have is told in its words."""
        with serve(tmp_path) as (_, url):
            ran = run(tmp_path, "transcribe", "--server", url, "--provider", "none", talk)
        assert_explained(ran, 1, "There is no provider 'none' here", "unknown_provider")

    @pytest.mark.parametrize("url", ["http://127.0.0.1:9", "127.0.0.1", "ftp://127.0.0.1/"])
    def test_no_server(self, tmp_path: Path, talk: Path, url: str) -> None:
        """A server that does not answer, or is no server, is named."""
        ran = run(tmp_path, "transcribe", "--server", url, talk)
        assert_explained(ran, 1, url, "is it running?")
        assert ran.err.count("\n") == 1

    def test_server_dies(self, tmp_path: Path, talk: Path) -> None:
        """A gateway that was killed and restarted is told; what it had heard is stored there."""
        (tmp_path / "client").mkdir()
        with serve(tmp_path) as (server, url):
            command = ("transcribe", "--realtime", "--server", url, talk)
            with start(tmp_path / "client", *command) as running:
                wait_for_audio(tmp_path, 1.0)
                server.stop(signal.SIGKILL)
                with serve(tmp_path, "--port", url.rpartition(":")[2]) as (again, _):
                    assert running.process.wait(60) == 1
                    assert running.err.startswith("sttgate: ")
                    assert url in running.err
                    assert running.err.count("\n") == 1
                    again.wait_for("session_recovered")
                    again.stop()
        assert str(conversation(tmp_path)["text"]).startswith("the first")


class TestBadInput:
    def test_files(self, tmp_path: Path, talk: Path) -> None:
        """Each bad file is one sentence with its name; the good ones are transcribed all the same."""
        (tmp_path / "folder.wav").mkdir()
        contents = {
            "text.wav": b"Dear diary, nobody listened to me today.\n",
            "empty.wav": b"",
            "head.wav": talk.read_bytes()[:30],
            "deep.wav": header(1, 16_000, 24),
            "fast.wav": header(1, 96_000, 16),
            "float.wav": header(3, 16_000, 32),
        }
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        ran = run(
            tmp_path, "transcribe", "missing.wav", "folder.wav", *contents, "talk.wav", "talk.wav"
        )
        assert ran.code == 1
        assert ran.out == TEXT * 2
        expected = [
            ("missing.wav", "No such file"),
            ("folder.wav", "directory"),
            ("text.wav", "is not a WAV file"),
            ("empty.wav", "is empty"),
            ("head.wav", "damaged header"),
            ("deep.wav", "24-bit"),
            ("fast.wav", "96000"),
            ("float.wav", "floating-point"),
        ]
        for (name, words), line in zip(expected, ran.err.splitlines(), strict=True):
            assert line.startswith(f"sttgate: {name}: ")
            assert words in line
        assert len(stored_sessions(tmp_path)) == 2

    def test_truncated(self, tmp_path: Path, talk: Path) -> None:
        """A file that ends early gives the words it has, and a note of how much is missing."""
        content = talk.read_bytes()
        talk.write_bytes(content[: 44 + 2 * 16_000 * 3])
        ran = run(tmp_path, "transcribe", "talk.wav")
        assert ran.code == 0
        assert ran.out.startswith(SCRIPT[0])
        assert ran.err == "sttgate: talk.wav: ends 3.0 s before its header says\n"

    @pytest.mark.parametrize(
        ("files", "output", "words"),
        [
            (["talk.wav"], "talk.wav", "talk.wav would be written over"),
            (["talk.wav", "more/talk.wav"], "texts", "talk.txt would be written over"),
            (["talk.wav"], "none/talk.txt", "none cannot hold the text"),
            (["talk.wav", "more/talk.wav"], "talk.wav", "talk.wav cannot hold the text"),
            (["talk.wav"], "talk.wav/", "talk.wav cannot hold the text"),
        ],
    )
    def test_output(
        self, tmp_path: Path, talk: Path, files: list[str], output: str, words: str
    ) -> None:
        """An output that would destroy something, or cannot be, is refused before any work is done."""
        (tmp_path / "more").mkdir()
        content = talk.read_bytes()
        write_wav(tmp_path / "more" / "talk.wav", 0.1)
        ran = run(tmp_path, "transcribe", *files, "-o", output)
        assert_explained(ran, 2, "--output")
        assert words in " ".join(ran.err.split())
        assert talk.read_bytes() == content
        assert not (tmp_path / "data").exists()

    def test_unknown_provider(self, tmp_path: Path, talk: Path) -> None:
        """A provider that is not configured is told with those that are."""
        assert_explained(run(tmp_path, "transcribe", "--provider", "acho", talk), 3, "'echo'")

    def test_unsupported_language(self, tmp_path: Path) -> None:
        """A language that no provider speaks is told."""
        write_wav(tmp_path / "talk.wav", 0.5)
        command = ("transcribe", "--provider", "moonshine", "--language", "fr", "talk.wav")
        assert_explained(run(tmp_path, *command), 1, "'fr' is not supported")

    def test_provider_fails(self, tmp_path: Path, talk: Path) -> None:
        """A provider that gives up half-way: exit code 4, and the words so far are printed and kept."""
        providers = {"echo": {"script": list(SCRIPT), "die_after": 2.5, "error": "auth"}}
        configure(tmp_path, providers=providers)
        ran = run(tmp_path, "transcribe", talk)
        assert ran.code == 4
        assert ran.out.startswith(f"{SCRIPT[0]}\n")
        assert "broke off after 2.5 s" in ran.err
        assert re.search(r"sttgate: .*talk.wav: .* s could not be transcribed\n$", ran.err)
        assert "Traceback" not in ran.err
        assert conversation(tmp_path)["text"] == " ".join(ran.out.split())

    def test_provider_recovers(self, tmp_path: Path, talk: Path) -> None:
        """A provider that breaks off and comes back costs a line on stderr, but no word."""
        providers = {"echo": {"script": list(SCRIPT), "die_after": 2.5}}
        configure(tmp_path, providers=providers)
        ran = run(tmp_path, "transcribe", talk)
        assert ran.code == 0
        # Each stream of this provider begins its script anew where the last final ended.
        assert ran.out == f"{SCRIPT[0]}\n" * 3
        assert "stream_failed" in ran.err
        assert "sttgate: " not in ran.err

    def test_store_fails(self, tmp_path: Path, talk: Path) -> None:
        """A damaged database stops the command before it has heard anything, and stays as it is."""
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "sttgate.db").write_bytes(b"my notes\n" * 100)
        assert_explained(run(tmp_path, "transcribe", talk), 1, "data/sttgate.db", "move")
        assert (tmp_path / "data" / "sttgate.db").read_bytes() == b"my notes\n" * 100


class TestInterrupted:
    def test_while_somebody_speaks(self, tmp_path: Path, talk: Path) -> None:
        """Ctrl-C exits with 130; what was heard until then is stored, with its recording."""
        with start(tmp_path, "--debug", "transcribe", "--realtime", talk) as running:
            running.wait_for("listening")
            wait_for_audio(tmp_path, 1.0)
            assert running.stop(signal.SIGINT) == 130
            assert "sttgate: interrupted; what was heard is kept" in running.err
            assert "Traceback" not in running.err
        stored = conversation(tmp_path)
        assert str(stored["text"]).startswith("the first")
        assert stored["recording"] is True
        assert list((tmp_path / "data" / "spool").iterdir()) == []

    def test_while_a_pipe_is_silent(self, tmp_path: Path, talk: Path) -> None:
        """Ctrl-C does not wait for a pipe that says nothing more."""
        with start(tmp_path, "--debug", "transcribe", "-") as running:
            assert running.process.stdin is not None
            running.process.stdin.write(talk.read_bytes()[: 44 + 2 * 16_000 * 3])
            running.process.stdin.flush()
            wait_for_audio(tmp_path, 2.5)
            assert running.stop(signal.SIGINT) == 130
        assert str(conversation(tmp_path)["text"]).startswith(SCRIPT[0])
