"""Stream a WAV file, or raw audio from a pipe, to sttgate and print the words as they come.

    python client.py talk.wav
    arecord -q -t raw -f S16_LE -r 16000 -c 1 | python client.py -

Needs Python 3.11 and aiohttp, and nothing of sttgate. Finals go to stdout; what is still being
said goes to stderr, on one line that is rewritten if stderr is a terminal.
"""

import argparse
import asyncio
import sys
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp

GATEWAY = "http://127.0.0.1:8000"
PATH = "/ws/v1/speech-to-text"
CHUNK = 0.1  # seconds of audio in a message


@dataclass
class Audio:
    """16-bit PCM; ``read`` takes a number of frames and returns their bytes, fewer at the end."""

    sample_rate: int
    channels: int
    read: Callable[[int], bytes]


@contextmanager
def open_audio(name: str, sample_rate: int, channels: int) -> Iterator[Audio]:
    """Open a WAV file, or stdin for the name ``-``, with raw audio of this format."""
    if name == "-":
        frame = 2 * channels
        yield Audio(sample_rate, channels, lambda count: sys.stdin.buffer.read(count * frame))
        return
    with wave.open(name, "rb") as wav:
        if wav.getsampwidth() != 2:
            raise wave.Error(f"{name} does not have 16-bit samples")
        yield Audio(wav.getframerate(), wav.getnchannels(), wav.readframes)


async def send(socket: aiohttp.ClientWebSocketResponse, audio: Audio) -> None:
    """Send the audio no faster than somebody can speak it, then ``stop``."""
    due = time.monotonic()
    frames = round(CHUNK * audio.sample_rate)
    while chunk := await asyncio.to_thread(audio.read, frames):
        await socket.send_bytes(chunk)
        due = max(due + CHUNK, time.monotonic() - 1)
        await asyncio.sleep(due - time.monotonic())
    await socket.send_json({"event": "stop"})


async def receive(socket: aiohttp.ClientWebSocketResponse) -> bool:
    """Print what comes; return whether the session ended as it should."""
    rewrite = "\r\x1b[K" if sys.stderr.isatty() else ""
    fine = True
    async for message in socket:
        event = message.json()
        match event["event"]:
            case "transcript" if event["is_final"]:
                print(rewrite, end="", file=sys.stderr, flush=True)
                print(event["text"], flush=True)
            case "transcript":
                end = "" if rewrite else "\n"
                print(f"{rewrite}… {event['text']}", end=end, file=sys.stderr, flush=True)
            case "provider" if event["state"] != "ready":
                print(f"{rewrite}[{event['state']}: {event['provider']}]", file=sys.stderr)
            case "error":
                print(f"{rewrite}{event['message']} ({event['code']})", file=sys.stderr)
                if "session_id" not in event:
                    return False  # about a request: there is no session to wait for
                fine = False
            case "stopped":
                print(f"{rewrite}[session {event['session_id']}]", file=sys.stderr)
                return fine
    print(f"{rewrite}the gateway broke off before the session ended", file=sys.stderr)
    return False


async def transcribe(audio: Audio, gateway: str, **wishes: str | None) -> bool:
    """Run one session of protocol 2."""
    start = {
        "event": "start",
        "sample_rate": audio.sample_rate,
        "channels": audio.channels,
        **{name: wish for name, wish in wishes.items() if wish is not None},
    }
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{gateway}{PATH}?protocol=2", heartbeat=20) as socket,
    ):
        await socket.send_json(start)
        sending = asyncio.create_task(send(socket, audio))
        try:
            return await receive(socket)
        finally:
            sending.cancel()
            await asyncio.wait([sending])


def main() -> None:
    """Read the command line, run one session, exit with 1 if it did not go well."""
    parser = argparse.ArgumentParser(description="Stream audio to sttgate and print the words.")
    parser.add_argument("audio", help="a WAV file, or - for raw 16-bit PCM on stdin")
    parser.add_argument("--gateway", default=GATEWAY, metavar="URL", help=f"default: {GATEWAY}")
    parser.add_argument("--provider", metavar="NAME", help="default: the gateway's choice")
    parser.add_argument("--language", metavar="TAG", help="such as en-GB")
    parser.add_argument("--rate", type=int, default=16_000, help="of raw audio; default: 16000")
    parser.add_argument("--channels", type=int, default=1, help="of raw audio; default: 1")
    args = parser.parse_args()
    try:
        with open_audio(args.audio, args.rate, args.channels) as audio:
            fine = asyncio.run(
                transcribe(
                    audio,
                    args.gateway.rstrip("/"),
                    provider=args.provider,
                    language=args.language,
                )
            )
    except (OSError, EOFError, wave.Error, aiohttp.ClientError) as error:
        sys.exit(f"client.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
