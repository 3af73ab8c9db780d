/** The keys of the whole page, and the dialog that lists them (`?`). */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { IconClose } from "./icons.tsx";
import { setShortcuts, shortcutsOn } from "./preferences.ts";
import { go } from "./router.ts";
import { KeySequence, acceptsShortcut } from "./shortcut-keys.ts";

const opened = signal(false);

export function openShortcuts(): void {
  opened.value = true;
}

const GROUPS: readonly { readonly name: string; readonly keys: readonly (readonly [keys: string, what: string])[] }[] =
  [
    {
      name: "Everywhere",
      keys: [
        ["g f", "Go to the fleet"],
        ["g a", "Go to the alerts"],
        ["g r", "Go to the rules"],
        ["/", "Search things, or rules where those are shown"],
        ["?", "Show these shortcuts"],
      ],
    },
    {
      name: "Fleet",
      keys: [
        ["↑ ↓", "From thing to thing"],
        ["Enter", "Open the thing"],
      ],
    },
    {
      name: "Charts",
      keys: [
        ["1 … 6", "Choose the range"],
        ["f", "Follow live, or pause"],
        ["t", "Table instead of chart"],
        ["← →", "Read the values point by point (focused chart); with Shift ten at once"],
        ["+ −", "Zoom (focused chart)"],
        ["Esc", "Back to live"],
      ],
    },
  ];

export function listenToShortcuts(): () => void {
  const sequence = new KeySequence();
  const onKey = (event: KeyboardEvent): void => {
    if (!acceptsShortcut(event)) return;
    const afterG = sequence.follows(event);
    if (afterG && event.key === "f") go({ page: "fleet", search: "" });
    else if (afterG && event.key === "a") go({ page: "alerts", tab: "active" });
    else if (afterG && event.key === "r") go({ page: "rules", search: "" });
    else if (event.key === "/") focusSearch();
    else if (event.key === "?") openShortcuts();
    else return;
    // The page below must not take the same key for its own.
    event.stopImmediatePropagation();
    event.preventDefault();
  };
  addEventListener("keydown", onKey, { capture: true });
  return () => removeEventListener("keydown", onKey, { capture: true });
}

/** At once where it is there: the next letters are typed already. */
function focusSearch(): void {
  const input = document.getElementById("search");
  if (input !== null) return input.focus();
  go({ page: "fleet", search: "" });
  // After the page of the fleet was drawn.
  requestAnimationFrame(() => requestAnimationFrame(() => document.getElementById("search")?.focus()));
}

export function ShortcutsDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => opened.subscribe((open) => (open ? dialog.current?.showModal() : dialog.current?.close())), []);
  return (
    <dialog class="dialog" ref={dialog} aria-labelledby="shortcuts-title" onClose={() => (opened.value = false)}>
      <div class="dialog-head">
        <h2 id="shortcuts-title">Keyboard shortcuts</h2>
        <button type="button" class="icon-button" aria-label="Close" onClick={() => dialog.current?.close()}>
          <IconClose />
        </button>
      </div>
      {GROUPS.map((group) => (
        <section key={group.name}>
          <h3>{group.name}</h3>
          <dl class="keys">
            {group.keys.map(([keys, what]) => (
              <div key={keys}>
                <dt>{keys.split(" ").map((key) => (key === "…" ? " … " : <kbd key={key}>{key}</kbd>))}</dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
      <label class="switch">
        <input
          type="checkbox"
          checked={shortcutsOn.value}
          onChange={(event) => setShortcuts(event.currentTarget.checked)}
        />
        Single-key shortcuts
        <span class="hint">Switch them off if you dictate or a screen reader needs the keys.</span>
      </label>
    </dialog>
  );
}
