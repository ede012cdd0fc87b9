// Clients to copy. They have to work as they are: the tests run them.

/** @param {string} address of the WebSocket @param {boolean} withKey */
export function pythonClient(address, withKey) {
  const headers = withKey ? `, additional_headers={"Authorization": "Bearer YOUR_KEY"}` : "";
  return `import json, sys, threading, wave
from websockets.sync.client import connect

def send(socket, wav):
    rate, channels = wav.getframerate(), wav.getnchannels()
    socket.send(json.dumps({"event": "start", "sample_rate": rate, "channels": channels}))
    while chunk := wav.readframes(rate // 10):
        socket.send(chunk)
    socket.send('{"event":"stop"}')

address = "${address}?protocol=2"
with wave.open(sys.argv[1]) as wav, connect(address${headers}) as socket:
    threading.Thread(target=send, args=(socket, wav)).start()
    for message in socket:
        event = json.loads(message)
        if event["event"] == "transcript" and event["is_final"]:
            print(f"{event['start']:7.2f}  {event['text']}")
        elif event["event"] == "error":
            print(event["message"], file=sys.stderr)
        elif event["event"] == "stopped":
            print("stored as", event["session_id"], file=sys.stderr)
            break
`;
}

/** @param {string} address of the WebSocket */
export function browserClient(address) {
  return `const socket = new WebSocket("${address}?protocol=2");
socket.onmessage = ({ data }) => console.log(JSON.parse(data));
socket.onopen = () => {
  socket.send(JSON.stringify({ event: "start" }));
  socket.send(new Int16Array(16000)); // a second of silence; put your sound here
  socket.send(JSON.stringify({ event: "stop" }));
};
`;
}

/** @param {string} origin @param {boolean} withKey */
export function curlUpload(origin, withKey) {
  const key = withKey ? ` \\\n  -H "Authorization: Bearer YOUR_KEY"` : "";
  return `curl -H "Content-Type: audio/wav" --data-binary @talk.wav${key} \\
  ${origin}/api/v1/transcriptions
`;
}
