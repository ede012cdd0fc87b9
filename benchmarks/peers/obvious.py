"""What one writes first: FastAPI, deepgram-sdk as shipped, the audio in a bytearray.

No spool, no failover, no access control, no metrics: it transcribes, and at the end it writes the
recording with ``wave`` and the finals with ``sqlite3``. Its wire is that of sttgate's protocol 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import uuid
import wave
from pathlib import Path
from typing import Any

import uvicorn
from deepgram import AsyncDeepgramClient
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from fastapi import FastAPI, WebSocket, WebSocketDisconnect


def create_app(upstream: str, folder: Path) -> FastAPI:
    """Return the application."""
    client = AsyncDeepgramClient(
        api_key="benchmark",
        environment=DeepgramClientEnvironment(
            base=upstream, production=upstream, agent=upstream, agent_rest=upstream
        ),
    )
    database = sqlite3.connect(folder / "obvious.db", check_same_thread=False)
    database.execute("CREATE TABLE finals (session TEXT, text TEXT)")
    app = FastAPI()

    @app.websocket("/ws")
    async def listen(socket: WebSocket) -> None:
        await socket.accept()
        session, audio, finals = str(uuid.uuid4()), bytearray(), []
        await socket.receive_text()  # start
        async with client.listen.v1.connect(
            model="nova-3",
            encoding="linear16",
            sample_rate=16000,
            channels=1,
            interim_results=True,
        ) as upstream_socket:

            async def heard(message: Any) -> None:
                if message.type != "Results" or not message.channel.alternatives:
                    return
                text = message.channel.alternatives[0].transcript
                if not text:
                    return
                if message.is_final:
                    finals.append(text)
                await socket.send_json(
                    {"event": "transcript", "text": text, "is_final": bool(message.is_final)}
                )

            upstream_socket.on(EventType.MESSAGE, heard)
            listening = asyncio.create_task(upstream_socket.start_listening())
            await socket.send_json({"event": "started"})
            try:
                while True:
                    message = await socket.receive()
                    if (data := message.get("bytes")) is not None:
                        audio.extend(data)
                        await upstream_socket.send_media(data)
                    elif "text" not in message or json.loads(message["text"])["event"] == "stop":
                        break
            except WebSocketDisconnect:
                pass
            await upstream_socket.send_close_stream()
            await listening
        with wave.open(str(folder / f"{session}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes(bytes(audio))
        database.executemany(
            "INSERT INTO finals VALUES (?, ?)", [(session, text) for text in finals]
        )
        database.commit()
        await socket.send_json({"event": "stopped", "full_transcription": " ".join(finals)})

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    uvicorn.run(
        create_app(given.upstream, given.folder),
        host="127.0.0.1",
        port=given.port,
        log_level="warning",
        access_log=False,
    )
