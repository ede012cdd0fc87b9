// What can be done with sessions, one or many.

import { request, sessionAddress } from "../api.js";
import { fileName, saveAddress, saveBlob } from "../parts/save.js";
import { zip } from "../parts/zip.js";

const AT_ONCE = 4;

export const FORMATS = [
  { format: "txt", label: "Text", hint: ".txt" },
  { format: "srt", label: "Subtitles (SubRip)", hint: ".srt" },
  { format: "vtt", label: "Subtitles (WebVTT)", hint: ".vtt" },
  { format: "json", label: "All of it (JSON)", hint: ".json" },
];

/**
 * Save sessions as a file: one as it is, several in an archive.
 * @param {string[]} ids @param {string} format of FORMATS
 * @returns {Promise<Failure[]>} those that are not in it
 */
export async function exportSessions(ids, format) {
  const files = [];
  const failures = await each(ids, async (id, place) => {
    const response = await request(`/sessions/${id}/export`, { query: { format }, headers: { Accept: "*/*" } });
    const bytes = new Uint8Array(await response.arrayBuffer());
    files[place] = { name: fileName(response, `${id}.${format}`), bytes };
  });
  const made = files.filter(Boolean);
  if (ids.length > 1 && made.length > 0) saveBlob(zip(made), `sessions-${format}.zip`);
  else if (made.length > 0) saveBlob(new Blob([made[0].bytes]), made[0].name);
  return failures;
}

/** Save the recording of a session. @param {string} id */
export async function saveRecording(id) {
  saveAddress(await sessionAddress(id, "/audio", { download: true }));
}

/**
 * Delete sessions, or only a part of them.
 * @param {string[]} ids @param {"transcript"|"recording"|""} only
 * @param {(done: number) => void} [onProgress]
 * @returns {Promise<Failure[]>} those that are still there
 */
export function deleteSessions(ids, only, onProgress = () => {}) {
  let done = 0;
  return each(ids, async (id) => {
    try {
      await request(`/sessions/${id}`, { method: "DELETE", query: { only } });
    } catch (error) {
      if (error.status !== 404) throw error; // somebody else was faster
    }
    onProgress(++done);
  });
}

/**
 * Do something with each of them, a few at a time.
 * @typedef {{id: string, error: Error}} Failure
 * @param {string[]} ids @param {(id: string, place: number) => Promise<void>} work
 * @returns {Promise<Failure[]>}
 */
async function each(ids, work) {
  const failures = [];
  let next = 0;
  const worker = async () => {
    while (next < ids.length) {
      const place = next++;
      try {
        await work(ids[place], place);
      } catch (error) {
        failures.push({ id: ids[place], error });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failures;
}
