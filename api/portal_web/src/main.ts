/** The upload page: choose, check, send, and what became of it. */
import "./style.css";
import { h, say, show } from "./dom";
import { chosenFiles, dropped } from "./files";
import { choose, chosen, date, duration, size, t } from "./i18n";
import { Model, type Study } from "./model";
import type { Part } from "./tar";
import { Sending, type State, call, forget } from "./upload";

interface Info {
  source: string;
  phone: string;
  email: string;
  language: string;
  privacy: string;
  consents: Record<string, { privacy: string; sharing: string }>;
  maximum_bytes: number;
  opened: boolean;
}

type Phase = "choose" | "sending" | "validating" | "ended";

const EMAIL = /^[^@\s<>"']{1,64}@[^@\s<>"'.]{1,64}(\.[^@\s<>"'.]{1,64})+$/;
const PHONE = /^[0-9+()/ .\-]{3,40}$/;
const LOOK_MS = 1000;
let info: Info;
let phase: Phase = "choose";
let model = new Model();
let reading = 0;
let fault = "";
let contact = { email: "", phone: "" };
let agreed = { privacy: false, sharing: false };
let sending: Sending | null = null;
let asking = false;
let ended: State | null = null;
let rates: { at: number; done: number }[] = [];

async function begin(): Promise<void> {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code) {
    history.replaceState(null, "", location.pathname + location.search);
    await call("POST", "/portal/api/open", { code }).catch((refused: Error) => (fault = refused.message));
  }
  info = await call<Info>("GET", "/portal/api/info");
  choose(info.language);
  document.title = t("title", { source: info.source });
  render();
}

function render(): void {
  const parts = { choose: choosing, sending: uploading, validating: waiting, ended: ending };
  show([head(), fault ? h("p", { class: "error", role: "alert" }, fault) : null, ...(info.opened ? parts[phase]() : [codeForm()])]);
}

function head(): HTMLElement {
  return h(
    "header",
    {},
    h("h1", {}, t("title", { source: info.source })),
    h(
      "p",
      {},
      info.phone && h("a", { href: `tel:${info.phone.replace(/[^0-9+]/g, "")}` }, info.phone),
      info.phone && " · ",
      info.email && h("a", { href: `mailto:${info.email}` }, info.email),
      info.email && " · ",
      h("a", { href: "/docs/upload", target: "_blank", rel: "noreferrer" }, t("manual")),
    ),
  );
}

function codeForm(): HTMLElement {
  const typed = h("input", { id: "code", type: "text", autocomplete: "off", "aria-describedby": "code-help" }) as HTMLInputElement;
  const open = async (event: Event): Promise<void> => {
    event.preventDefault();
    fault = "";
    try {
      await call("POST", "/portal/api/open", { code: typed.value });
      info = await call<Info>("GET", "/portal/api/info");
    } catch (refused) {
      fault = (refused as Error).message;
    }
    render();
  };
  return h(
    "form",
    { class: "panel on", submit: (event) => void open(event) },
    h("p", {}, t("needCode")),
    h("label", { for: "code" }, t("code")),
    typed,
    h("p", { id: "code-help" }, t("codeHelp")),
    h("button", { class: "main", type: "submit" }, t("open")),
  );
}

async function add(parts: Part[]): Promise<void> {
  if (!parts.length || phase !== "choose") return;
  fault = "";
  reading = 1;
  render();
  await model.add(parts, (count) => say(t("reading", { n: count })));
  reading = 0;
  const units = model.units().reduce((sum, one) => sum + one.body.size, 0);
  if (units > info.maximum_bytes) fault = t("tooLarge", { size: size(units), limit: size(info.maximum_bytes) });
  else if (!model.images && model.hasSomething) fault = t("needDicom");
  render();
  document.getElementById("panel2")?.focus();
}

function choosing(): HTMLElement[] {
  return [panel1(), panel2()];
}

function panel1(): HTMLElement {
  const take = (event: Event): void => void add(chosenFiles((event.target as HTMLInputElement).files));
  const files = h("input", { id: "files", type: "file", multiple: true, class: "hidden", "aria-hidden": "true", tabindex: -1, change: take });
  const folder = h("input", {
    id: "folder", type: "file", webkitdirectory: true, multiple: true, class: "hidden", "aria-hidden": "true", tabindex: -1, change: take,
  });
  return h(
    "section",
    { class: model.images ? "panel" : "panel on", "aria-labelledby": "panel1" },
    h("h2", { id: "panel1" }, t("panel1")),
    files,
    folder,
    h("button", { id: "select-files", type: "button", click: () => files.click() }, t("selectFiles")),
    h("button", { id: "select-folder", type: "button", click: () => folder.click() }, t("selectFolder")),
    h("p", { class: "drop" }, t("drop")),
    h("p", {}, t("tip")),
    reading > 0 && h("p", {}, t("reading", { n: "…" })),
    ...notes(),
  );
}

function notes(): HTMLElement[] {
  const found: string[] = model.faults.map((one) => t(one.kind, { name: one.name }));
  if (model.leftOut) found.push(t("leftOut", { n: model.leftOut }));
  if (model.duplicates) found.push(t("duplicates", { n: model.duplicates }));
  if (model.unreadable.length) found.push(t("unreadable", { n: model.unreadable.length, names: model.unreadable.slice(0, 5).join(", ") }));
  if (model.patients > 1) found.push(t("morePatients", { n: model.patients }));
  return found.map((one) => h("p", { class: "error" }, one));
}

function panel2(): HTMLElement {
  const on = model.images > 0;
  return h(
    "section",
    { class: on ? "panel on" : "panel", "aria-disabled": on ? "false" : "true", "aria-labelledby": "panel2" },
    h("h2", { id: "panel2", tabindex: -1 }, t("panel2")),
    !on && h("p", {}, t("panel2Off")),
    ...(on ? [...model.sorted.map(study), loose(), contactFields(), consents(), startRow()] : []),
  );
}

function study(one: Study, number: number): HTMLElement {
  const { head: of } = one;
  const facts = [
    ["name", of.name], ["born", date(of.born)], ["patientId", of.patientId], ["sex", of.sex], ["accession", of.accession],
    ["description", of.description], ["series", String(one.series.size)],
  ] as const;
  const counts = { images: one.parts.length + one.zipped, documents: one.documents.length + one.zippedDocuments };
  const comment = h("textarea", {
    id: `comment-${number}`, maxlength: 500, rows: 2, value: one.comment,
    input: (event) => void (one.comment = (event.target as HTMLTextAreaElement).value),
  });
  return h(
    "div",
    { class: "study" },
    h("h3", {}, t("study", { date: date(of.date) })),
    h("dl", {}, ...facts.flatMap(([key, value]) => [h("dt", {}, t(key)), h("dd", {}, value || "–")])),
    h("p", { class: "counts" }, t("counts", counts)),
    one.documents.length > 0 && h("ul", {}, ...one.documents.map((each) => h("li", {}, each.path))),
    h("label", { for: `comment-${number}` }, t("comment")),
    comment,
  );
}

function loose(): HTMLElement {
  if (!model.loose.length) return h("div", { class: "hidden" });
  const all = model.selected.size === model.loose.length;
  const toggle = (one: Part): void => {
    if (!model.selected.delete(one)) model.selected.add(one);
    render();
  };
  const boxes = model.loose.map((one, number) =>
    h(
      "label",
      { class: "box file" },
      h("input", { id: `loose-${number}`, type: "checkbox", checked: model.selected.has(one), change: () => toggle(one) }),
      h("span", { "aria-hidden": "true" }, model.selected.has(one) ? "✓" : "▤"),
      one.path,
    ),
  );
  const assign = (event: Event): void => {
    model.assign((event.target as HTMLSelectElement).value);
    render();
  };
  const n = model.selected.size;
  return h(
    "fieldset",
    { id: "loose" },
    h("legend", {}, t("loose")),
    ...boxes,
    h("button", { id: "select-all", type: "button", click: () => {
      model.selected = new Set(all ? [] : model.loose);
      render();
    } }, t(all ? "deselectAll" : "selectAll")),
    h("button", { id: "remove", type: "button", disabled: n === 0, click: () => {
      model.removeSelected();
      render();
    } }, t("remove", { n })),
    h("label", { for: "assign" }, t("addTo", { n })),
    h(
      "select",
      { id: "assign", disabled: n === 0, change: assign },
      h("option", { value: "" }, t("choose")),
      ...model.sorted.map((one) => h("option", { value: one.head.study }, `${date(one.head.date)} ${one.head.description}`)),
    ),
  );
}

function contactFields(): HTMLElement {
  const input = (name: "email" | "phone", type: string): HTMLElement[] => [
    h("label", { for: name }, t(name)),
    h("input", { id: name, type, autocomplete: "off", value: contact[name], change: (event) => {
      contact[name] = (event.target as HTMLInputElement).value.trim();
      render();
    } }),
  ];
  return h("fieldset", {}, h("legend", {}, t("contact")), h("p", {}, t("contactTip")), ...input("email", "email"), ...input("phone", "tel"));
}

function consents(): HTMLElement {
  const words = info.consents[chosen()] ?? info.consents.en;
  const box = (name: "privacy" | "sharing"): HTMLElement =>
    h("label", { class: "box" }, h("input", { id: name, type: "checkbox", checked: agreed[name], change: (event) => {
      agreed[name] = (event.target as HTMLInputElement).checked;
      render();
    } }), words?.[name] ?? name);
  return h("fieldset", {}, h("legend", {}, t("privacy")), h("p", { class: "policy", tabindex: 0 }, info.privacy), box("privacy"), box("sharing"));
}

function reasonAgainst(): string {
  if (model.loose.length) return t("looseBlocks");
  const { email, phone } = contact;
  if ((email && !EMAIL.test(email)) || (phone && !PHONE.test(phone))) return t("badContact");
  return agreed.privacy && agreed.sharing ? "" : t("needConsent");
}

function startRow(): HTMLElement {
  const why = reasonAgainst();
  return h(
    "div",
    {},
    h("p", {}, t("numbersNote")),
    h("p", { id: "why" }, why),
    h("button", { id: "start", class: "main", type: "button", disabled: why !== "", "aria-describedby": "why", click: () => void start() }, t("start")),
    h("button", { id: "reset", type: "button", click: reset }, t("reset")),
  );
}

async function start(): Promise<void> {
  fault = "";
  rates = [];
  sending ??= new Sending(model.units(), progress);
  phase = "sending";
  render();
  try {
    await sending.run();
    if (asking || phase !== "sending") return;
    const body = { ...agreed, ...contact, language: chosen(), comments: model.comments(), documents: model.documents() };
    ended = await sending.send(body);
    phase = "validating";
    say(t("validating"));
    render();
    await follow();
  } catch (refused) {
    fault = t("failed", { what: (refused as Error).message });
    render();
  }
}

async function follow(): Promise<void> {
  while (phase === "validating" && sending) {
    const found = await sending.state().catch(() => null);
    if (found && found.state !== "VALIDATING") {
      ended = found;
      phase = "ended";
      forget();
      render();
      say(t(found.state === "DONE" ? "done" : "rejected"));
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function progress(done: number, all: number): void {
  const now = performance.now();
  rates = [...rates.filter((one) => now - one.at < 8000), { at: now, done }];
  const first = rates[0];
  const rate = first && now > first.at ? ((done - first.done) * 1000) / (now - first.at) : 0;
  const percent = Math.floor((100 * done) / Math.max(all, 1));
  const bar = document.getElementById("bar") as HTMLProgressElement | null;
  if (bar) bar.value = percent;
  const given = { percent, done: size(done), all: size(all), rate: size(rate), left: duration((all - done) / rate) };
  const line = document.getElementById("line");
  if (line) line.textContent = t(sending?.paused ? "progressPaused" : "progress", given);
  if (percent % 10 === 0) say(`${percent} %`);
}

function uploading(): HTMLElement[] {
  const paused = sending?.paused ?? false;
  const toggle = async (): Promise<void> => {
    if (paused) sending?.resume();
    else await sending?.pause();
    render();
  };
  const ask = (value: boolean): void => {
    asking = value;
    render();
  };
  const question = h(
    "div",
    { role: "alertdialog", "aria-label": t("cancel") },
    h("p", {}, t("sureCancel")),
    h("button", { id: "yes", type: "button", click: () => void cancel() }, t("yesCancel")),
    h("button", { id: "no", type: "button", click: () => ask(false) }, t("noGoOn")),
  );
  return [
    h(
      "section",
      { class: "panel on", "aria-labelledby": "sending" },
      h("h2", { id: "sending" }, t(paused ? "paused" : "uploading")),
      h("p", {}, h("strong", {}, t("keepOpen"))),
      h("progress", { id: "bar", max: 100, value: 0, "aria-labelledby": "sending" }),
      h("p", { id: "line" }, ""),
      ...(asking
        ? [question]
        : [
            h("button", { id: "pause", type: "button", click: () => void toggle() }, t(paused ? "resume" : "pause")),
            h("button", { id: "cancel", type: "button", click: () => ask(true) }, t("cancel")),
            ...(fault ? [h("button", { id: "retry", type: "button", click: () => void start() }, t("retry"))] : []),
          ]),
    ),
  ];
}

async function cancel(): Promise<void> {
  await sending?.cancel().catch(() => undefined);
  ended = { submission: "", reference: "", state: "CANCELLED", what: t("cancelled") };
  asking = false;
  phase = "ended";
  render();
}

function waiting(): HTMLElement[] {
  return [h("section", { class: "panel on" }, h("h2", {}, t("validating")), h("progress", { "aria-label": t("validating") }))];
}

function ending(): HTMLElement[] {
  const state = ended?.state ?? "";
  const good = state === "DONE" || state === "HELD";
  const words = state === "DONE" ? "reference" : "held";
  return [
    h(
      "section",
      { class: "panel on", id: "ended" },
      h("h2", {}, t(good ? "done" : "rejected")),
      h("p", {}, good ? t(words, { reference: ended?.reference ?? "" }) : (ended?.what ?? "")),
      h("button", { id: "again", class: "main", type: "button", click: reset }, t("again")),
    ),
  ];
}

/** Brings back the empty page; nothing of the former patient stays. */
function reset(): void {
  forget();
  location.reload();
}

addEventListener("beforeunload", (event) => {
  if (phase === "sending" && sending && !sending.paused && !fault) event.preventDefault();
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  void dropped(event.dataTransfer).then(add);
});
void begin();
