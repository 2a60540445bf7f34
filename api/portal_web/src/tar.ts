/** A study as one tar that nobody has read yet: headers of ours, the user's files themselves, and padding (POSIX pax). */

export interface Part {
  path: string;
  file: File;
}

type Bytes = Uint8Array<ArrayBuffer>;
const BLOCK = 512;

function header(name: string, size: number, type: string): Bytes {
  const made = new Uint8Array(BLOCK);
  const put = (text: string, at: number): void => made.set(new TextEncoder().encode(text), at);
  put(name, 0);
  put("0000600\0", 100);
  put("0000000\0", 108);
  put("0000000\0", 116);
  put(`${size.toString(8).padStart(11, "0")}\0`, 124);
  put("00000000000\0", 136);
  put("        ", 148);
  put(type, 156);
  put("ustar\0" + "00", 257);
  const sum = made.reduce((total, one) => total + one, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return made;
}

/** The same files in the same order give the same bytes: an upload of it can go on after everything was closed. */
export function tar(parts: Part[]): Blob {
  const pieces: BlobPart[] = [];
  parts.forEach((part, number) => {
    const record = paxRecord("path", part.path);
    pieces.push(header(`pax/${number}`, record.length, "x"), record, padding(record.length));
    pieces.push(header(`files/${number}`, part.file.size, "0"), part.file, padding(part.file.size));
  });
  pieces.push(new Uint8Array(2 * BLOCK));
  return new Blob(pieces);
}

/** A record of an extended header, its own length in front. */
function paxRecord(key: string, value: string): Bytes {
  const rest = new TextEncoder().encode(` ${key}=${value}\n`);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  const made = new Uint8Array(length);
  made.set(new TextEncoder().encode(String(length)));
  made.set(rest, String(length).length);
  return made;
}

function padding(size: number): Bytes {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}
