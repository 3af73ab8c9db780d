import { shortcutsOn } from "./preferences.ts";

/** Whether a key press may be a single-key shortcut: nobody is typing, no other key is held, and they are not off. */
export function acceptsShortcut(event: KeyboardEvent): boolean {
  if (!shortcutsOn.peek() || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return false;
  const target = event.target as HTMLElement | null;
  if (target !== null && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))) return false;
  return document.querySelector("dialog[open]") === null;
}
