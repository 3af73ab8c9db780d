/** The rows of a file: CSV (RFC 4180, the first line names the columns) or JSON (an array of objects, or an object of them by key). */
import type { JsonObject, JsonValue } from "../../base/mod.ts";
import { isJsonObject } from "../../base/mod.ts";

/** Throws where the text is not such a file. */
export function* csvRows(text: string): Generator<JsonObject> {
  const records = recordsOf(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
  const head = records.next();
  if (head.done === true) throw new Error("it is empty; its first line names the columns");
  const columns = head.value.map((column) => column.trim());
  const double = columns.find((column, i) => columns.indexOf(column) < i);
  if (columns.includes("")) throw new Error(`column ${columns.indexOf("") + 1} has no name`);
  if (double !== undefined) throw new Error(`column '${double}' is there twice`);
  let line = 1;
  for (const cells of records) {
    line++;
    if (cells.length === 1 && cells[0] === "") continue;
    if (cells.length !== columns.length) {
      throw new Error(`row ${line} has ${cells.length} cells, and there are ${columns.length} columns`);
    }
    const entries = columns.map((column, i) => [column, valueOf(cells[i]!)] as const);
    yield Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as JsonObject;
  }
}

/** An empty cell is nothing. What is a number to the last character is one; `007` and `1e3` stay text. */
function valueOf(cell: string): JsonValue | undefined {
  if (cell === "") return undefined;
  if (cell === "true" || cell === "false") return cell === "true";
  const number = Number(cell);
  return String(number) === cell && Number.isFinite(number) ? number : cell;
}

function* recordsOf(text: string): Generator<string[]> {
  let cells: string[] = [];
  let at = 0;
  while (at < text.length) {
    const { cell, next } = text[at] === '"' ? quotedCell(text, at) : plainCell(text, at);
    cells.push(cell);
    at = next;
    if (text[at] === ",") {
      at++;
      if (at < text.length) continue;
      cells.push("");
    } else if (text[at] === "\r" && text[at + 1] === "\n") at += 2;
    else if (text[at] === "\n") at++;
    else if (at < text.length) throw new Error(`there is text behind a closing quote: ${text.slice(at, at + 20)}`);
    yield cells;
    cells = [];
  }
}

function plainCell(text: string, at: number): { readonly cell: string; readonly next: number } {
  let next = at;
  while (next < text.length && text[next] !== "," && text[next] !== "\n") next++;
  const end = text[next] === "\n" && text[next - 1] === "\r" && next > at ? next - 1 : next;
  return { cell: text.slice(at, end), next: end };
}

function quotedCell(text: string, at: number): { readonly cell: string; readonly next: number } {
  let cell = "";
  for (let from = at + 1; ;) {
    const quote = text.indexOf('"', from);
    if (quote < 0) throw new Error(`a quote is not closed: ${text.slice(at, at + 20)}`);
    cell += text.slice(from, quote);
    if (text[quote + 1] !== '"') return { cell, next: quote + 1 };
    cell += '"';
    from = quote + 2;
  }
}

/** `key`: the column that an object's own keys become. */
export function* jsonRows(text: string, key: string): Generator<JsonObject> {
  const document = JSON.parse(text) as JsonValue;
  if (Array.isArray(document)) {
    for (const [i, row] of document.entries()) {
      if (!isJsonObject(row)) throw new Error(`row ${i + 1} is not an object`);
      yield row;
    }
    return;
  }
  if (!isJsonObject(document)) throw new Error("it is neither an array of objects nor an object of them");
  for (const [name, row] of Object.entries(document)) {
    if (!isJsonObject(row)) throw new Error(`'${name}' is not an object`);
    yield { [key]: name, ...row };
  }
}
