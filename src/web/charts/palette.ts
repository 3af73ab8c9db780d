/** The colours of the present theme, resolved for the canvas, which knows no custom properties. */
import { painter } from "./painter.ts";

export interface Palette {
  readonly lines: readonly string[];
  /** Same colours, so thin that they can lie under everything. */
  readonly fills: readonly string[];
  readonly faint: string;
  readonly grid: string;
  readonly text: string;
  readonly surface: string;
  readonly font: string;
}

const LINES = 8;

let current: Palette | null = null;

export function palette(): Palette {
  current ??= readPalette();
  return current;
}

/** To be called after the theme changed. */
export function paletteChanged(): void {
  current = null;
  painter.force();
}

function readPalette(): Palette {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const color = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const numbers = Array.from({ length: LINES }, (_, i) => i + 1);
  const read: Palette = {
    lines: numbers.map((n) => color(`--line-${n}`)),
    fills: numbers.map((n) => color(`--fill-${n}`)),
    faint: color("--line-faint"),
    grid: color("--grid"),
    text: color("--text-2"),
    surface: color("--surface"),
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
  };
  probe.remove();
  return read;
}
