/** What an image says of its patient and study, read in the browser before any byte is sent. */
import dicomParser from "dicom-parser";

export interface Head {
  name: string;
  born: string;
  patientId: string;
  sex: string;
  study: string;
  series: string;
  instance: string;
  date: string;
  accession: string;
  description: string;
}

/** DICOM's names of character sets (PS3.3 C.12.1.1.2) -> those of TextDecoder. */
const CHARSETS: Record<string, string> = {
  "": "windows-1252",
  "ISO_IR 100": "windows-1252",
  "ISO_IR 101": "iso-8859-2",
  "ISO_IR 109": "iso-8859-3",
  "ISO_IR 110": "iso-8859-4",
  "ISO_IR 144": "iso-8859-5",
  "ISO_IR 127": "iso-8859-6",
  "ISO_IR 126": "iso-8859-7",
  "ISO_IR 138": "iso-8859-8",
  "ISO_IR 148": "windows-1254",
  "ISO_IR 203": "iso-8859-15",
  "ISO_IR 13": "shift_jis",
  "ISO_IR 166": "windows-874",
  "ISO_IR 192": "utf-8",
  GB18030: "gb18030",
  GBK: "gbk",
  "ISO 2022 IR 13": "shift_jis",
  "ISO 2022 IR 87": "iso-2022-jp",
  "ISO 2022 IR 149": "euc-kr",
  "ISO 2022 IR 58": "gbk",
};
const PIECES = [32 << 10, 512 << 10, 8 << 20];

/** Whether a file begins as DICOM files do (PS3.10 section 7.1). */
export async function isDicom(file: Blob): Promise<boolean> {
  return String.fromCharCode(...new Uint8Array(await file.slice(128, 132).arrayBuffer())) === "DICM";
}

/** The head of an image; null when it cannot be read here. */
export async function readHead(file: Blob): Promise<Head | null> {
  for (const piece of PIECES) {
    const found = parse(new Uint8Array(await file.slice(0, piece).arrayBuffer()));
    if (found || file.size <= piece) return found;
  }
  return null;
}

/** The head in some bytes; null when there is none, or not the whole of it. */
export function parse(bytes: Uint8Array): Head | null {
  let data: dicomParser.DataSet;
  try {
    data = dicomParser.parseDicom(bytes, { untilTag: "x0020000e" });
  } catch {
    return null;
  }
  const plain = (tag: string): string => (data.string(tag) ?? "").replace(/\0/g, "").trim();
  if (!plain("x0020000d")) return null;
  const sets = (data.string("x00080005") ?? "").split("\\").map((one) => one.trim());
  const text = (tag: string): string => decoded(data, tag, sets);
  return {
    name: text("x00100010").split("=")[0]?.replace(/\^+/g, " ").trim() ?? "",
    born: plain("x00100030"),
    patientId: text("x00100020"),
    sex: plain("x00100040"),
    study: plain("x0020000d"),
    series: plain("x0020000e"),
    instance: plain("x00080018"),
    date: plain("x00080020"),
    accession: text("x00080050"),
    description: text("x00081030"),
  };
}

function decoded(data: dicomParser.DataSet, tag: string, sets: string[]): string {
  const element = data.elements[tag];
  if (!element) return "";
  const raw = data.byteArray.subarray(element.dataOffset, element.dataOffset + element.length) as Uint8Array;
  const escaped = sets.find((one) => one in CHARSETS && one.startsWith("ISO 2022")) ?? "";
  const named = CHARSETS[escaped || (sets[0] ?? "")] ?? "windows-1252";
  // TextDecoder's euc-kr and gbk know no escape sequences (ISO 2022): they are taken out.
  const bytes = named === "euc-kr" || named === "gbk" ? withoutEscapes(raw) : raw;
  return new TextDecoder(named).decode(bytes).replace(/\0/g, "").trim();
}

function withoutEscapes(raw: Uint8Array): Uint8Array {
  const kept: number[] = [];
  for (let at = 0; at < raw.length; at++) {
    if (raw[at] === 0x1b) at += raw[at + 1] === 0x24 ? 3 : 2;
    else kept.push(raw[at] as number);
  }
  return new Uint8Array(kept);
}
