/** Sending: one tus upload after another under one submission, which goes on after a pause, a lost line or a closed tab. */
import { Upload } from "tus-js-client";
import type { Unit } from "./model";

export interface State {
  submission: string;
  reference: string;
  state: string;
  what: string;
}

const OWN = "/portal/api/submissions";
const CHUNK = 8 << 20;
const DELAYS = [0, 1000, 3000, 5000, 10000, 20000, 60000];

/** The appliance said no, in its own words. */
export class Refused extends Error {}

/** One call of the appliance; raises `Refused`. */
export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers = { "Content-Type": "application/json", "X-Ranvier": "page" };
  const answer = await fetch(path, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
  const text = await answer.text();
  const found = text ? JSON.parse(text) : {};
  if (!answer.ok) throw new Refused(`${found.detail ?? answer.status} ${found.next_step ?? ""}`.trim());
  return found as T;
}

async function fingerprint(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `ranvier-${[...new Uint8Array(digest)].map((one) => one.toString(16).padStart(2, "0")).join("")}`;
}

/** Forgets where uploads of this browser stood. */
export function forget(): void {
  for (const key of Object.keys(localStorage)) if (key.startsWith("tus::")) localStorage.removeItem(key);
}

export class Sending {
  submission = "";
  paused = false;
  lost = false;
  private current: Upload | null = null;
  private before = 0;
  private stopped = false;

  constructor(
    private readonly units: Unit[],
    private readonly told: (done: number, all: number) => void,
  ) {}

  get all(): number {
    return this.units.reduce((sum, one) => sum + one.body.size, 0);
  }

  /** Sends everything; resolves when the last byte is there. */
  async run(): Promise<void> {
    const uploads = await Promise.all(this.units.map((unit) => this.made(unit)));
    const earlier = await Promise.all(uploads.map((one) => one.findPreviousUploads()));
    this.submission ||= await this.open(earlier.flat().map((one) => String(one.metadata.submission ?? "")));
    this.before = 0;
    for (const [number, upload] of uploads.entries()) {
      if (this.stopped) return;
      const found = earlier[number]?.find((one) => one.metadata.submission === this.submission);
      upload.options.metadata = { submission: this.submission };
      if (found) upload.resumeFromPreviousUpload(found);
      this.current = upload;
      await this.finished(upload);
      this.before += this.units[number]?.body.size ?? 0;
    }
  }

  /** The submission that goes on, or a new one. */
  private async open(known: string[]): Promise<string> {
    for (const one of new Set(known.filter(Boolean))) {
      const found = await call<State>("GET", `${OWN}/${one}/state`).catch(() => null);
      if (found?.state === "OPEN") return one;
    }
    forget();
    return (await call<State>("POST", OWN)).submission;
  }

  private async made(unit: Unit): Promise<Upload> {
    const named = await fingerprint(unit.facts);
    return new Upload(unit.body, {
      endpoint: "/portal/tus",
      chunkSize: CHUNK,
      retryDelays: DELAYS,
      removeFingerprintOnSuccess: false,
      fingerprint: () => Promise.resolve(named),
      headers: { "X-Ranvier": "page" },
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0;
        this.lost = status === 0;
        return status === 0 || status >= 500 || status === 409 || status === 423 || status === 429;
      },
      onProgress: (sent) => {
        this.lost = false;
        this.told(this.before + sent, this.all);
      },
    });
  }

  private finished(upload: Upload): Promise<void> {
    return new Promise((resolve, reject) => {
      upload.options.onSuccess = () => resolve();
      upload.options.onError = (error) => reject(error);
      if (!this.paused) upload.start();
    });
  }

  async pause(): Promise<void> {
    this.paused = true;
    await this.current?.abort();
  }

  resume(): void {
    this.paused = false;
    this.current?.start();
  }

  async cancel(): Promise<void> {
    this.stopped = true;
    await this.current?.abort();
    if (this.submission) await call("DELETE", `${OWN}/${this.submission}`);
    forget();
  }

  send(body: Record<string, unknown>): Promise<State> {
    return call<State>("POST", `${OWN}/${this.submission}/send`, body);
  }

  state(): Promise<State> {
    return call<State>("GET", `${OWN}/${this.submission}/state`);
  }
}
