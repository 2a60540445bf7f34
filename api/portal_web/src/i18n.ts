/** The page's words; a language with a missing or extra key does not compile. */

const en = {
  title: "Upload images to {source}",
  manual: "Upload manual",
  code: "Upload code",
  codeHelp: "The hospital gave you this code. Capital and small letters and dashes do not matter.",
  open: "Continue",
  needCode: "To upload images you need an upload code, or be signed in.",
  panel1: "1. Select the images you wish to upload",
  panel2: "2. Verify patient and study information and upload images",
  panel2Off: "Available as soon as you have added images.",
  selectFiles: "Select images or ZIP file",
  selectFolder: "Select a folder",
  drop: "Or drag and drop images, folders or ZIP files here. This is not a button.",
  tip: "Tip: Ctrl+A selects all files; Shift and click selects a range. For a folder some browsers ask once more: choose “Upload” again.",
  reading: "Reading files: {n}",
  needDicom: "At least 1 DICOM file must be added. Add the folder that holds the images.",
  leftOut: "{n} program or system file(s) left out.",
  unreadable: "{n} file(s) could not be read here and are looked at after the upload: {names}",
  duplicates: "{n} image(s) were added twice and are sent once.",
  morePatients: "These images belong to {n} patients. Are you sure that all of them are yours to send?",
  zipLocked: "{name} is protected by a password. Unpack it first, then select the folder.",
  zipBroken: "{name} cannot be read. It may be damaged or not complete.",
  tooLarge: "This is {size}; at most {limit} can be uploaded at once.",
  name: "Name",
  born: "Date of birth",
  patientId: "Patient ID",
  sex: "Sex",
  study: "Study of {date}",
  accession: "Accession number",
  description: "Description",
  series: "Series",
  counts: "{images} DICOM files, {documents} non-DICOM files",
  comment: "Comment (optional)",
  contact: "Contact (optional)",
  contactTip: "As a reference, or if the hospital needs to contact you.",
  email: "E-mail",
  phone: "Mobile phone",
  badContact: "E-mail or phone is not well-formed; correct it or leave it empty.",
  loose: "Please add the following files to a study or remove them",
  addTo: "Add selected files to study ({n})",
  choose: "Choose a study",
  remove: "Remove {n} selected file(s)",
  selectAll: "Select all",
  deselectAll: "Deselect all",
  looseBlocks: "Files are left that belong to no study: add them to one, or remove them.",
  privacy: "Privacy policy",
  numbersNote: "Note: accession numbers and patient IDs are replaced by new ones, so that they cannot be mistaken for those of other hospitals.",
  needConsent: "Agree to both to start.",
  start: "START UPLOAD",
  reset: "Reset",
  uploading: "Uploading",
  paused: "Paused",
  lost: "Connection lost. Trying again…",
  keepOpen: "Important! Do not close your browser during upload.",
  progress: "{percent} % · {done} of {all} · {rate}/s · {left} left",
  progressPaused: "{percent} % · {done} of {all} · paused",
  pause: "PAUSE UPLOAD",
  resume: "RESUME UPLOAD",
  cancel: "CANCEL UPLOAD",
  sureCancel: "Cancel the upload? Everything received so far is deleted.",
  yesCancel: "Yes, cancel",
  noGoOn: "No, go on",
  validating: "Validating files: scanning for malware",
  done: "Upload successful",
  reference: "Your reference number is {reference}. You can close your browser now.",
  rejected: "The upload was not taken",
  held: "Received. The hospital looks at it before it is taken. Your reference number is {reference}.",
  cancelled: "The upload was cancelled; nothing of it was kept.",
  again: "Start a new upload",
  failed: "This did not work: {what}",
  retry: "Retry",
};

export type Words = typeof en;

const de: Words = {
  title: "Bilder hochladen für {source}",
  manual: "Anleitung zum Hochladen",
  code: "Upload-Code",
  codeHelp: "Diesen Code haben Sie vom Krankenhaus bekommen. Groß- und Kleinschreibung und Striche sind egal.",
  open: "Weiter",
  needCode: "Zum Hochladen brauchen Sie einen Upload-Code, oder Sie sind angemeldet.",
  panel1: "1. Bilder auswählen, die Sie hochladen möchten",
  panel2: "2. Angaben zu Patient und Untersuchung prüfen und hochladen",
  panel2Off: "Verfügbar, sobald Sie Bilder hinzugefügt haben.",
  selectFiles: "Bilder oder ZIP-Datei auswählen",
  selectFolder: "Ordner auswählen",
  drop: "Oder ziehen Sie Bilder, Ordner oder ZIP-Dateien hierher. Dies ist keine Schaltfläche.",
  tip: "Tipp: Strg+A wählt alle Dateien aus, Umschalt und Klick einen Bereich. Bei Ordnern fragen manche Browser noch einmal nach: wählen Sie wieder „Hochladen“.",
  reading: "Dateien werden gelesen: {n}",
  needDicom: "Es muss mindestens 1 DICOM-Datei dabei sein. Fügen Sie den Ordner mit den Bildern hinzu.",
  leftOut: "{n} Programm- oder Systemdatei(en) weggelassen.",
  unreadable: "{n} Datei(en) konnten hier nicht gelesen werden und werden nach dem Hochladen geprüft: {names}",
  duplicates: "{n} Bild(er) wurden doppelt hinzugefügt und werden einmal gesendet.",
  morePatients: "Diese Bilder gehören zu {n} Patienten. Dürfen Sie wirklich alle senden?",
  zipLocked: "{name} ist mit einem Passwort geschützt. Bitte erst entpacken, dann den Ordner auswählen.",
  zipBroken: "{name} kann nicht gelesen werden. Die Datei ist vielleicht beschädigt oder unvollständig.",
  tooLarge: "Das sind {size}; höchstens {limit} können auf einmal hochgeladen werden.",
  name: "Name",
  born: "Geburtsdatum",
  patientId: "Patienten-ID",
  sex: "Geschlecht",
  study: "Untersuchung vom {date}",
  accession: "Auftragsnummer",
  description: "Beschreibung",
  series: "Serien",
  counts: "{images} DICOM-Dateien, {documents} andere Dateien",
  comment: "Kommentar (freiwillig)",
  contact: "Kontakt (freiwillig)",
  contactTip: "Als Bezug, oder falls das Krankenhaus Sie erreichen muss.",
  email: "E-Mail",
  phone: "Mobiltelefon",
  badContact: "E-Mail oder Telefon stimmt so nicht; bitte berichtigen oder leer lassen.",
  loose: "Bitte fügen Sie die folgenden Dateien einer Untersuchung hinzu oder entfernen Sie sie",
  addTo: "Ausgewählte Dateien zur Untersuchung hinzufügen ({n})",
  choose: "Untersuchung wählen",
  remove: "{n} ausgewählte Datei(en) entfernen",
  selectAll: "Alle auswählen",
  deselectAll: "Auswahl aufheben",
  looseBlocks: "Es gibt noch Dateien ohne Untersuchung: fügen Sie sie einer hinzu oder entfernen Sie sie.",
  privacy: "Datenschutzerklärung",
  numbersNote: "Hinweis: Auftragsnummern und Patienten-IDs werden durch neue ersetzt, damit sie nicht mit denen anderer Häuser verwechselt werden.",
  needConsent: "Stimmen Sie beidem zu, um zu beginnen.",
  start: "HOCHLADEN STARTEN",
  reset: "Zurücksetzen",
  uploading: "Wird hochgeladen",
  paused: "Angehalten",
  lost: "Verbindung verloren. Neuer Versuch…",
  keepOpen: "Wichtig! Schließen Sie Ihren Browser während des Hochladens nicht.",
  progress: "{percent} % · {done} von {all} · {rate}/s · noch {left}",
  progressPaused: "{percent} % · {done} von {all} · angehalten",
  pause: "ANHALTEN",
  resume: "FORTSETZEN",
  cancel: "ABBRECHEN",
  sureCancel: "Hochladen abbrechen? Alles bisher Empfangene wird gelöscht.",
  yesCancel: "Ja, abbrechen",
  noGoOn: "Nein, weitermachen",
  validating: "Dateien werden geprüft: Suche nach Schadsoftware",
  done: "Erfolgreich hochgeladen",
  reference: "Ihre Referenznummer ist {reference}. Sie können den Browser jetzt schließen.",
  rejected: "Die Dateien wurden nicht angenommen",
  held: "Empfangen. Das Krankenhaus prüft die Dateien, bevor sie angenommen werden. Ihre Referenznummer ist {reference}.",
  cancelled: "Das Hochladen wurde abgebrochen; nichts davon wurde behalten.",
  again: "Neu beginnen",
  failed: "Das hat nicht geklappt: {what}",
  retry: "Noch einmal versuchen",
};

const CATALOGUES: Record<string, Words> = { en, de };
let language = "en";

/** Chooses a language: of the address, else of the browser, else of the site. */
export function choose(site: string): void {
  const asked = new URLSearchParams(location.search).get("lang");
  const wanted = [asked, ...navigator.languages.map((one) => one.slice(0, 2)), site, "en"];
  language = wanted.find((one): one is string => !!one && one in CATALOGUES) ?? "en";
  document.documentElement.lang = language;
}

export const chosen = (): string => language;

/** A sentence in the chosen language with its values. */
export function t(key: keyof Words, values: Record<string, string | number> = {}): string {
  return (CATALOGUES[language] ?? en)[key].replace(/\{(\w+)\}/g, (_all, name: string) => String(values[name] ?? ""));
}

export function size(bytes: number): string {
  const [value, unit] = bytes >= 1e9 ? [bytes / 1e9, "GB"] : bytes >= 1e6 ? [bytes / 1e6, "MB"] : [bytes / 1e3, "kB"];
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(value)} ${unit}`;
}

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "…";
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}

/** A DICOM date as people write it. */
export function date(text: string): string {
  const found = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(text);
  if (!found) return text || "–";
  const day = new Date(Date.UTC(Number(found[1]), Number(found[2]) - 1, Number(found[3])));
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeZone: "UTC" }).format(day);
}
