/** Files as people give them: chosen, as a folder, or dropped with folders among them. */
import type { Part } from "./tar";

export function chosenFiles(list: FileList | null): Part[] {
  return [...(list ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** Everything that was dropped; entries must be taken before the event ends. */
export async function dropped(transfer: DataTransfer | null): Promise<Part[]> {
  const items = [...(transfer?.items ?? [])].filter((one) => one.kind === "file");
  const entries = items.map((one) => one.webkitGetAsEntry()).filter((one): one is FileSystemEntry => one !== null);
  const files = entries.length ? [] : chosenFiles(transfer?.files ?? null);
  const found = await Promise.all(entries.map((one) => below(one)));
  return [...files, ...found.flat()];
}

async function below(entry: FileSystemEntry): Promise<Part[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Part[] = [];
  for (;;) {
    // A browser gives a hundred entries at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const one of some) found.push(...(await below(one)));
  }
}
