/** The menu at the right end of the bar: this platform, the theme, help, and the way out. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { logout, may, session } from "../api/session.ts";
import { formatDuration } from "../format/units.ts";
import { serverNow } from "../live/live.ts";
import { health } from "./health.ts";
import { IconEye, IconKeyboard, IconLogOut, IconMenu, IconMoon, IconScreen, IconSun, IconTable } from "./icons.tsx";
import { setTheme, theme } from "./preferences.ts";
import type { Theme } from "./preferences.ts";
import { openShortcuts } from "./shortcuts.tsx";

const ID = "menu";

export function Menu() {
  const failed = useSignal(false);
  const leave = async (): Promise<void> => {
    failed.value = false;
    try {
      await logout();
    } catch {
      failed.value = true;
    }
  };
  return (
    <>
      <button type="button" class="menu-button" popovertarget={ID} aria-label="Menu">
        <span class="menu-host">{health.value?.host ?? ""}</span>
        <IconMenu />
      </button>
      <div class="menu" id={ID} popover="auto" role="dialog" aria-label="Menu">
        <About />
        <fieldset class="menu-themes">
          <legend>Theme</legend>
          <ThemeChoice value="system" icon={<IconScreen />} label="System" />
          <ThemeChoice value="light" icon={<IconSun />} label="Light" />
          <ThemeChoice value="dark" icon={<IconMoon />} label="Dark" />
        </fieldset>
        <a class="menu-item" href="#/account" onClick={hideMenu}>
          <IconEye />
          Account
        </a>
        {may("people:read") && (
          <a class="menu-item" href="#/people" onClick={hideMenu}>
            <IconTable />
            People
          </a>
        )}
        <button type="button" class="menu-item" popovertarget={ID} popovertargetaction="hide" onClick={openShortcuts}>
          <IconKeyboard />
          Keyboard shortcuts
          <kbd>?</kbd>
        </button>
        <button type="button" class="menu-item" onClick={() => void leave()}>
          <IconLogOut />
          Log out
        </button>
        {failed.value && (
          <p class="form-error" role="alert">
            The platform does not answer, so you are still logged in. Try again.
          </p>
        )}
      </div>
    </>
  );
}

function hideMenu(): void {
  document.getElementById(ID)?.hidePopover();
}

function About() {
  const current = session.value;
  const now = health.value;
  return (
    <dl class="menu-about">
      <div>
        <dt>Platform</dt>
        <dd>{now?.host ?? "–"}</dd>
      </div>
      <div>
        <dt>Version</dt>
        <dd>{current.kind === "active" ? current.info.version : "–"}</dd>
      </div>
      <div>
        <dt>Running for</dt>
        <dd>{now === null ? "–" : formatDuration(serverNow.value - now.startedAt)}</dd>
      </div>
    </dl>
  );
}

function ThemeChoice({
  value,
  icon,
  label,
}: {
  readonly value: Theme;
  readonly icon: ComponentChildren;
  readonly label: string;
}) {
  return (
    <label class="theme-choice">
      <input type="radio" name="theme" value={value} checked={theme.value === value} onChange={() => setTheme(value)} />
      {icon}
      {label}
    </label>
  );
}
