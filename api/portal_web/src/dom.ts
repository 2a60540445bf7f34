/** Elements without markup in strings: the content policy allows no other way. */

type Child = Node | string | null | false;
type Given = Record<string, string | boolean | number | ((event: Event) => void) | undefined>;

/** An element; functions become listeners, true and false attributes that are there or not. */
export function h(tag: string, given: Given = {}, ...children: Child[]): HTMLElement {
  const made = document.createElement(tag);
  made.append(...children.filter((one): one is Node | string => one !== null && one !== false));
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (name === "value") (made as HTMLInputElement).value = String(value);
    else if (name === "checked") (made as HTMLInputElement).checked = value === true;
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined) made.setAttribute(name, String(value));
  }
  return made;
}

/** Puts a new content in place and keeps the focus where it was, by its identifier. */
export function show(content: (HTMLElement | null)[]): void {
  const focused = document.activeElement?.id;
  document.getElementById("page")?.replaceChildren(...content.filter((one): one is HTMLElement => one !== null));
  if (focused) document.getElementById(focused)?.focus();
}

/** Says something to whoever cannot see the page. */
export function say(text: string): void {
  const live = document.getElementById("live");
  if (live && live.textContent !== text) live.textContent = text;
}
