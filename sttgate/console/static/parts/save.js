// Files for the downloads folder.

const LASTING = 10_000; // milliseconds a browser may take to begin with a blob

/** @param {Blob} blob @param {string} name */
export function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  follow(url, name);
  setTimeout(() => URL.revokeObjectURL(url), LASTING);
}

/** What the server sends as a file, under the name that it gives. @param {string} url */
export function saveAddress(url) {
  follow(url, "");
}

/**
 * The name that a response gives to its file (RFC 6266).
 * @param {Response} response @param {string} otherwise
 */
export function fileName(response, otherwise) {
  const header = response.headers.get("Content-Disposition") ?? "";
  const encoded = /filename\*=UTF-8''([^;]+)/i.exec(header)?.[1];
  const plain = /filename="([^"]+)"/i.exec(header)?.[1];
  try {
    return (encoded && decodeURIComponent(encoded)) || plain || otherwise;
  } catch {
    return plain || otherwise;
  }
}

function follow(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}
