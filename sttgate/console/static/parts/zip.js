// Several files in one: a ZIP archive without compression (APPNOTE 6.3.10, sections 4.3 and 4.4).

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const VERSION = 20;
const UTF8 = 0x0800; // the names are UTF-8
const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/**
 * An archive of files. A name that is there already gets a number.
 * @param {{name: string, bytes: Uint8Array}[]} files less than 4 GiB of them, and fewer than 65536
 * @returns {Blob}
 */
export function zip(files) {
  const [time, date] = dosTime(new Date());
  const bodies = [];
  const directory = [];
  const taken = new Set();
  let at = 0;
  for (const { name, bytes } of files) {
    const path = new TextEncoder().encode(unused(name, taken));
    const about = [[2, VERSION], [2, UTF8], [2, 0], [2, time], [2, date], [4, crc(bytes)],
      [4, bytes.length], [4, bytes.length], [2, path.length], [2, 0]]; // prettier-ignore
    const head = pack([4, LOCAL], ...about);
    directory.push(pack([4, CENTRAL], [2, VERSION], ...about, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), path);
    bodies.push(head, path, bytes);
    at += head.length + path.length + bytes.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const count = files.length;
  const end = pack([4, END], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, at], [2, 0]);
  return new Blob([...bodies, ...directory, end], { type: "application/zip" });
}

/** Numbers of 2 or 4 bytes, little-endian. */
function pack(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

function crc(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

function unused(name, taken) {
  const dot = name.lastIndexOf(".");
  const [stem, suffix] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  let found = name;
  for (let n = 2; taken.has(found); n++) found = `${stem}-${n}${suffix}`;
  taken.add(found);
  return found;
}

function dosTime(now) {
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const date = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  return [time, date];
}
