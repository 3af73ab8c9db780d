/** An answer as an aligned table: numbers to the right, long cells cut, control characters made visible. */
import type { QueryResult } from "../cloud/api/contract.ts";

/** What one cell shows of its value; the other formats show all of it. */
const CELL_CHARS_MAX = 80;

const NUMBER = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL\(\d+, ?\d+\)|BIGNUM)$/;

export function alignedTable({ columns, rows }: Pick<QueryResult, "columns" | "rows">): string {
  const cells = rows.map((row) => row.map(cellOf));
  const widths = columns.map(({ name }, column) =>
    cells.reduce((widest, row) => Math.max(widest, widthOf(row[column]!)), widthOf(shown(name))),
  );
  const right = columns.map(({ type }) => NUMBER.test(type));
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, column) => {
        const gap = " ".repeat(widths[column]! - widthOf(text));
        return right[column]! ? gap + text : text + gap;
      })
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [line(columns.map(({ name }) => shown(name))), rule, ...cells.map(line)].join("\n");
}

function cellOf(value: unknown): string {
  if (value === null) return "NULL";
  const text = shown(typeof value === "string" ? value : JSON.stringify(value));
  const characters = Array.from(text);
  return characters.length > CELL_CHARS_MAX ? `${characters.slice(0, CELL_CHARS_MAX - 1).join("")}…` : text;
}

/** A device's text must neither break the table nor speak to the terminal. */
function shown(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is replaced
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const names: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
    return names[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Columns of a terminal: wide characters (CJK, emoji) take two, marks none. */
function widthOf(text: string): number {
  // oxlint-disable-next-line no-control-regex -- the usual case, quickly
  if (/^[\u0020-\u007e]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) {
    if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(character)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return width;
}
