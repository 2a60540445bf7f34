/** What was added so far, sorted into studies; everything of it stays in this tab. */
import { BlobReader, type Entry, ZipReader, configure } from "@zip.js/zip.js";
import { type Head, isDicom, parse, readHead } from "./dicom";
import { type Part, tar } from "./tar";

configure({ useWebWorkers: false });

export interface Study {
  head: Head;
  parts: Part[];
  documents: Part[];
  zipped: number;
  zippedDocuments: number;
  series: Set<string>;
  comment: string;
}

export interface Unit {
  body: Blob;
  /** What its fingerprint is made of: path, size and date of every file. */
  facts: string;
}

const PROGRAM = new RegExp(
  "(^|/)(\\.ds_store|thumbs\\.db|desktop\\.ini|dicomdir|autorun\\.inf|\\._[^/]*)$|(^|/)__macosx/|" +
    "\\.(app|bat|bin|cab|cfg|class|cmd|com|cpl|dll|dmg|exe|hta|html?|ico|inf|ini|iso|jar|js|lnk|msi|ocx|ps1|py|reg|scr|sh|so|svg|sys|vbs|xap)$",
  "i",
);
const DIRECTORY = /(^|\/)dicomdir$/i;
const PEEK = 64 << 10;
const facts = (one: Part): string => `${one.path}|${one.file.size}|${one.file.lastModified}`;

export class Model {
  studies = new Map<string, Study>();
  loose: Part[] = [];
  zips: File[] = [];
  selected = new Set<Part>();
  leftOut = 0;
  duplicates = 0;
  unreadable: string[] = [];
  faults: { kind: "zipLocked" | "zipBroken"; name: string }[] = [];
  private unread: Part[] = [];
  private seen = new Set<string>();

  get images(): number {
    return [...this.studies.values()].reduce((sum, one) => sum + one.parts.length + one.zipped, 0);
  }

  get patients(): number {
    return new Set([...this.studies.values()].map(({ head }) => `${head.patientId}|${head.born}`)).size;
  }

  get hasSomething(): boolean {
    return this.images > 0 || this.loose.length > 0 || this.unread.length > 0;
  }

  /** The studies by date. */
  get sorted(): Study[] {
    return [...this.studies.values()].sort((one, other) => one.head.date.localeCompare(other.head.date));
  }

  async add(parts: Part[], told: (count: number) => void): Promise<void> {
    let count = 0;
    for (const part of parts) {
      if (/\.zip$/i.test(part.path)) await this.addZip(part.file);
      else await this.addFile(part);
      if (++count % 20 === 0) told(count);
    }
  }

  private async addFile(part: Part): Promise<void> {
    const dicom = (await isDicom(part.file)) && !DIRECTORY.test(part.path);
    if (!dicom) {
      if (PROGRAM.test(part.path)) this.leftOut++;
      else if (!this.loose.some((one) => facts(one) === facts(part))) this.loose.push(part);
      return;
    }
    const head = await readHead(part.file);
    if (!head) {
      this.unreadable.push(part.path);
      this.unread.push(part);
    } else if (this.isNew(head.instance || part.path)) this.study(head).parts.push(part);
    else this.duplicates++;
  }

  private isNew(instance: string): boolean {
    const known = this.seen.has(instance);
    this.seen.add(instance);
    return !known;
  }

  private study(head: Head): Study {
    const fresh = { parts: [], documents: [], zipped: 0, zippedDocuments: 0, series: new Set<string>(), comment: "" };
    const known = this.studies.get(head.study) ?? { head, ...fresh };
    this.studies.set(head.study, known);
    known.series.add(head.series);
    return known;
  }

  private async addZip(file: File): Promise<void> {
    const same = (one: File): boolean => one.name === file.name && one.size === file.size && one.lastModified === file.lastModified;
    if (this.zips.some(same)) return;
    const reader = new ZipReader(new BlobReader(file));
    try {
      const entries = (await reader.getEntries()).filter((one) => !one.directory);
      if (entries.some((one) => one.encrypted)) this.faults.push({ kind: "zipLocked", name: file.name });
      else {
        await this.addEntries(entries);
        this.zips.push(file);
      }
    } catch {
      this.faults.push({ kind: "zipBroken", name: file.name });
    } finally {
      await reader.close();
    }
  }

  private async addEntries(entries: Entry[]): Promise<void> {
    let documents = 0;
    let first: Study | null = null;
    for (const entry of entries) {
      const bytes = await peek(entry);
      const image = String.fromCharCode(...bytes.subarray(128, 132)) === "DICM" && !DIRECTORY.test(entry.filename);
      const head = image ? parse(bytes) : null;
      if (head) {
        const study = this.study(head);
        study.zipped++;
        first ??= study;
      } else if (image) this.unreadable.push(entry.filename);
      else if (PROGRAM.test(entry.filename)) this.leftOut++;
      else documents++;
    }
    if (first) first.zippedDocuments += documents;
  }

  /** Moves the selected documents into a study. */
  assign(uid: string): void {
    this.studies.get(uid)?.documents.push(...this.loose.filter((one) => this.selected.has(one)));
    if (this.studies.has(uid)) this.removeSelected();
  }

  removeSelected(): void {
    this.loose = this.loose.filter((one) => !this.selected.has(one));
    this.selected.clear();
  }

  /** What is sent: one tar for each study, each ZIP as it is. */
  units(): Unit[] {
    const order = (one: Part, other: Part): number => (one.path < other.path ? -1 : 1);
    const studies = this.sorted.filter((one) => one.parts.length + one.documents.length > 0);
    const made = studies.map((study, number) => {
      const parts = [...study.parts, ...study.documents, ...(number === 0 ? this.unread : [])].sort(order);
      return { body: tar(parts), facts: `tar|${study.head.study}|${parts.map(facts).join("\n")}` };
    });
    return [...made, ...this.zips.map((one) => ({ body: one, facts: `zip|${one.name}|${one.size}|${one.lastModified}` }))];
  }

  /** Path of a document -> the study it belongs to. */
  documents(): Record<string, string> {
    const pairs = [...this.studies].flatMap(([uid, study]) => study.documents.map((one) => [one.path, uid] as const));
    return Object.fromEntries(pairs);
  }

  comments(): Record<string, string> {
    return Object.fromEntries([...this.studies].filter(([, one]) => one.comment).map(([uid, one]) => [uid, one.comment]));
  }
}

/** The beginning of an entry, without inflating the rest of it. */
async function peek(entry: Entry): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let got = 0;
  const enough = new AbortController();
  const sink = new WritableStream<Uint8Array>({
    write(piece) {
      pieces.push(piece);
      got += piece.length;
      if (got >= PEEK) enough.abort();
    },
  });
  try {
    if (!entry.directory) await entry.getData(sink, { signal: enough.signal, checkSignature: false });
  } catch (fault) {
    if (!enough.signal.aborted) throw fault;
  }
  const all = new Uint8Array(got);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
