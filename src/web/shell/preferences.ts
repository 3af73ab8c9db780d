/** What this browser remembers. Nothing of it leaves the browser. */
import { signal } from "@preact/signals";
import { paletteChanged } from "../charts/palette.ts";

export type Theme = "system" | "light" | "dark";

const THEME_KEY = "tidewire.theme";
const LOGIN_KEY = "tidewire.login";
const SHORTCUTS_KEY = "tidewire.shortcuts";

export const theme = signal<Theme>("system");
/** Single-key shortcuts can be switched off (WCAG 2.1.4): speech input types letters. */
export const shortcutsOn = signal(true);

/** Which form of logging in this browser was used with last. */
export const loginWith = signal<"token" | "name">("token");

export function setLoginWith(kind: "token" | "name"): void {
  loginWith.value = kind;
  write(LOGIN_KEY, kind);
}

export function loadPreferences(): void {
  if (read(LOGIN_KEY) === "name") loginWith.value = "name";
  const stored = read(THEME_KEY);
  if (stored === "light" || stored === "dark") setTheme(stored);
  shortcutsOn.value = read(SHORTCUTS_KEY) !== "off";
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => paletteChanged());
}

export function setTheme(chosen: Theme): void {
  theme.value = chosen;
  if (chosen === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = chosen;
  write(THEME_KEY, chosen);
  paletteChanged();
}

export function setShortcuts(on: boolean): void {
  shortcutsOn.value = on;
  write(SHORTCUTS_KEY, on ? "on" : "off");
}

// A browser may forbid storage; then nothing is remembered and everything else works.
function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    return;
  }
}
