/** The lines of a bulk file, CSV or NDJSON: what each says of its device, or what is wrong with it. Nothing is held but one line. */
import { LIMITS, TidewireError, utf8Length } from "../base/mod.ts";

/** `line`: where it begins in the file, from 1. */
export type Row =
  | { readonly line: number; readonly parameters: Readonly<Record<string, string>> }
  | { readonly line: number; readonly fault: string };

export type RowFormat = "csv" | "ndjson";

type Cells = { readonly line: number; readonly cells: readonly string[] };
type Fault = { readonly line: number; readonly fault: string };

const ROW_MAX = LIMITS.provisioning.bulkRowBytesMax;
const TOO_LONG = `it has more than ${ROW_MAX} bytes`;
/** What decoding makes of bytes that are no UTF-8. */
const NOT_UTF8 = /\uFFFD/;

/** `columnFault`: what is wrong with a CSV file's columns, or null. Throws BULK_FILE_INVALID. */
export async function* rowsOf(
  chunks: AsyncIterable<Uint8Array>,
  format: RowFormat,
  columnFault: (columns: readonly string[]) => string | null,
  file: string,
): AsyncGenerator<Row> {
  if (format === "ndjson") yield* ndjsonRows(textOf(chunks));
  else yield* csvRows(textOf(chunks), columnFault, file);
}

/** A byte order mark is left out by the decoder. */
async function* textOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const chunk of chunks) yield decoder.decode(chunk, { stream: true });
  yield decoder.decode();
}

// ── NDJSON ─────────────────────────────────────────────────────────────────────────────────────

async function* ndjsonRows(texts: AsyncIterable<string>): AsyncGenerator<Row> {
  let line = 1;
  let open = "";
  let tooLong = false;
  const end = (): Row | null => {
    const text = open.trim();
    const row = tooLong ? { line, fault: TOO_LONG } : text === "" ? null : jsonRow(line, text);
    open = "";
    tooLong = false;
    line++;
    return row;
  };
  for await (const text of texts) {
    const parts = text.split("\n");
    for (const [i, part] of parts.entries()) {
      tooLong ||= open.length + part.length > ROW_MAX;
      open = tooLong ? "" : open + part;
      const row = i < parts.length - 1 ? end() : null;
      if (row !== null) yield row;
    }
  }
  const last = end();
  if (last !== null) yield last;
}

function jsonRow(line: number, text: string): Row {
  if (utf8Length(text) > ROW_MAX) return { line, fault: TOO_LONG };
  if (NOT_UTF8.test(text)) return { line, fault: "it is not UTF-8" };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { line, fault: "it is not JSON" };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return { line, fault: 'it is no object such as {"SerialNumber": "A-17"}' };
  const other = Object.entries(value).find(([, given]) => typeof given !== "string");
  if (other !== undefined) return { line, fault: `'${shown(other[0])}' must be text, in quotes` };
  return { line, parameters: value as Record<string, string> };
}

// ── CSV (RFC 4180) ─────────────────────────────────────────────────────────────────────────────

async function* csvRows(
  texts: AsyncIterable<string>,
  columnFault: (columns: readonly string[]) => string | null,
  file: string,
): AsyncGenerator<Row> {
  const reader = new CsvReader();
  let columns: readonly string[] | null = null;
  const rowOf = (record: Cells | Fault): Row | null => {
    if (columns === null) {
      columns = headOf(record, columnFault, file);
      return null;
    }
    return "fault" in record ? record : cellsRow(record, columns);
  };
  for await (const text of texts) {
    for (const record of reader.push(text)) {
      const row = rowOf(record);
      if (row !== null) yield row;
    }
  }
  for (const record of reader.end()) {
    const row = rowOf(record);
    if (row !== null) yield row;
  }
  if (columns === null) throw invalid(file, "it is empty; its first line names the columns");
}

function headOf(
  record: Cells | Fault,
  columnFault: (columns: readonly string[]) => string | null,
  file: string,
): readonly string[] {
  if ("fault" in record) throw invalid(file, `its first line, which names the columns, is wrong: ${record.fault}`);
  const columns = record.cells.map((cell) => cell.trim());
  const fault = columns.some((column) => NOT_UTF8.test(column))
    ? "it is not UTF-8"
    : columns.includes("")
      ? `column ${columns.indexOf("") + 1} has no name`
      : (doubleOf(columns) ?? columnFault(columns));
  if (fault !== null) throw invalid(file, fault);
  return columns;
}

function doubleOf(columns: readonly string[]): string | null {
  const double = columns.find((column, i) => columns.indexOf(column) !== i);
  return double === undefined ? null : `the column '${shown(double)}' is there twice`;
}

/** An empty cell leaves the parameter to its default. */
function cellsRow({ line, cells }: Cells, columns: readonly string[]): Row {
  if (cells.length !== columns.length)
    return { line, fault: `it has ${cells.length} cells, the first line has ${columns.length}` };
  if (cells.some((cell) => NOT_UTF8.test(cell))) return { line, fault: "it is not UTF-8" };
  const entries = columns.map((column, i) => [column, cells[i]!] as const);
  return { line, parameters: Object.fromEntries(entries.filter(([, cell]) => cell !== "")) };
}

type State = "start" | "plain" | "quoted" | "quote-in-quoted" | "skip";

/** Fed with any pieces of a file. */
class CsvReader {
  #state: State = "start";
  /** Of the first line: ',' or what spreadsheets of other countries write; null until it is seen. */
  #delimiter: string | null = null;
  #cells: string[] = [];
  #cell = "";
  #size = 0;
  #line = 1;
  #began = 1;
  /** CR and LF together are one end of a line. */
  #afterCr = false;
  #fault: string | null = null;

  *push(text: string): Generator<Cells | Fault> {
    for (const character of text) {
      const isEnd = character === "\n" || character === "\r";
      if (character === "\n" && this.#afterCr) {
        this.#afterCr = false;
        if (this.#state === "quoted") this.#cell += character;
        continue;
      }
      this.#afterCr = character === "\r";
      if (isEnd) this.#line++;
      if (isEnd && this.#state !== "quoted") {
        const record = this.#finish();
        if (record !== null) yield record;
      } else this.#take(character);
    }
  }

  *end(): Generator<Cells | Fault> {
    if (this.#state === "quoted") this.#fault = "a quote is not closed";
    const record = this.#finish();
    if (record !== null) yield record;
  }

  #take(character: string): void {
    this.#size += character.length;
    if (this.#state !== "skip" && this.#size > ROW_MAX) {
      this.#refuse(this.#state === "quoted" ? `${TOO_LONG}, or a quote is not closed` : TOO_LONG);
    }
    switch (this.#state) {
      case "skip":
        return;
      case "quoted":
        if (character === '"') this.#state = "quote-in-quoted";
        else this.#cell += character;
        return;
      case "quote-in-quoted":
        if (character === '"') {
          this.#cell += character;
          this.#state = "quoted";
        } else if (this.#isDelimiter(character)) this.#endCell();
        else this.#refuse("something stands behind a closing quote");
        return;
      case "start":
      case "plain":
        if (this.#isDelimiter(character)) this.#endCell();
        else if (character !== '"') this.#add(character);
        else if (this.#state === "start") this.#state = "quoted";
        else this.#refuse('a quote stands in the middle of a cell; write "a ""quoted"" word"');
    }
  }

  #isDelimiter(character: string): boolean {
    if (this.#delimiter === null && (character === "," || character === ";" || character === "\t"))
      this.#delimiter = character;
    return character === this.#delimiter;
  }

  #add(character: string): void {
    this.#cell += character;
    this.#state = "plain";
  }

  #endCell(): void {
    this.#cells.push(this.#cell);
    this.#cell = "";
    this.#state = "start";
  }

  #refuse(fault: string): void {
    this.#fault = fault;
    this.#state = "skip";
    this.#cell = "";
    this.#cells = [];
  }

  /** Null for an empty line. */
  #finish(): Cells | Fault | null {
    const line = this.#began;
    const fault = this.#fault;
    const isEmpty = this.#size === 0;
    if (fault === null) this.#endCell();
    const cells = this.#cells;
    this.#cells = [];
    this.#fault = null;
    this.#state = "start";
    this.#size = 0;
    this.#began = this.#line;
    this.#delimiter ??= isEmpty ? null : ",";
    if (fault !== null) return { line, fault };
    return isEmpty ? null : { line, cells };
  }
}

function invalid(file: string, reason: string): TidewireError {
  return new TidewireError("BULK_FILE_INVALID", { file, reason });
}

/** What a file says, for a message. */
function shown(text: string): string {
  const printable = text.replaceAll(/[\p{Cc}\p{Bidi_Control}]/gu, "?");
  return printable.length > 60 ? `${printable.slice(0, 60)}…` : printable;
}
