import { shortcutsOn } from "./preferences.ts";

/** Whether a key press may be a single-key shortcut: nobody is typing, no other key is held, and they are not off. */
export function acceptsShortcut(event: KeyboardEvent): boolean {
  if (!shortcutsOn.peek() || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return false;
  const target = event.target as HTMLElement | null;
  if (target !== null && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))) return false;
  return document.querySelector("dialog[open]") === null;
}

/** The time in which the second key of `g f` counts. */
const SEQUENCE_MS = 1000;

/** Remembers a `g`, so that the next key can mean a page. */
export class KeySequence {
  /** When `g` was pressed, in ms since the page began; at its very beginning nobody has pressed it yet. */
  #leader = -Infinity;

  /** Whether this key comes soon after a `g`. Asked once for every key. */
  follows(event: { readonly key: string; readonly timeStamp: number }): boolean {
    const soon = event.timeStamp - this.#leader < SEQUENCE_MS;
    this.#leader = event.key === "g" ? event.timeStamp : -Infinity;
    return soon;
  }
}
