/** An answer as bytes, a chunk of rows at a time: nothing is gathered but what one write carries. */
import type { DuckDBDataChunk, DuckDBResult, DuckDBVector } from "@duckdb/node-api";
import { csvCell, csvText, jsonTextOf } from "./answer.ts";
import type { JsonText } from "./answer.ts";

export interface AnswerColumn {
  readonly name: string;
  /** DuckDB's name of the type. */
  readonly type: string;
}

export type TextFormat = "json" | "ndjson" | "csv";

export interface AnswerEnd {
  readonly rows: number;
  /** There were more rows than were asked for. */
  readonly truncated: boolean;
}

export interface AnswerShape {
  readonly format: TextFormat;
  /** More are left out, and said to be. */
  readonly rowsMax: number;
  /** Files that should have been read are damaged. */
  readonly incomplete: boolean;
}

/** Takes text; resolves when there is room for more. Throws where there is too much of it. */
export type WriteText = (text: string) => Promise<void>;

/** Characters gathered before they are written: one system call for hundreds of rows. */
const WRITE_CHARS = 32_768;

export async function writeAnswer(
  result: DuckDBResult,
  { format, rowsMax, incomplete }: AnswerShape,
  write: WriteText,
): Promise<AnswerEnd> {
  const names = result.deduplicatedColumnNames();
  const columns = names.map((name, index) => ({ name, type: typeName(result, index) }));
  const texts = result.columnTypes().map(jsonTextOf);
  const shape = SHAPES[format](columns, incomplete);
  let rows = 0;
  let truncated = false;
  let text = shape.begin;
  for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
    const vectors = vectorsOf(chunk, texts.length);
    for (let row = 0; row < chunk.rowCount; row++) {
      if (rows === rowsMax) {
        truncated = true;
        break;
      }
      text += shape.row(cellsOf(vectors, texts, row), rows === 0);
      rows++;
      if (text.length < WRITE_CHARS) continue;
      await write(text);
      text = "";
    }
    if (truncated) break;
  }
  await write(text + shape.end({ rows, truncated }));
  return { rows, truncated };
}

/** Cells are JSON text; null stands for NULL. */
interface Shape {
  readonly begin: string;
  row(cells: readonly (string | null)[], first: boolean): string;
  end(end: AnswerEnd): string;
}

type MakeShape = (columns: readonly AnswerColumn[], incomplete: boolean) => Shape;

const SHAPES: Readonly<Record<TextFormat, MakeShape>> = {
  json: (columns, incomplete) => ({
    begin: `{"columns":${JSON.stringify(columns)},"rows":[`,
    row: (cells, first) => `${first ? "\n" : ",\n"}[${cells.map((cell) => cell ?? "null").join(",")}]`,
    end: ({ rows, truncated }) => `],\n"rowCount":${rows},"truncated":${truncated},"incomplete":${incomplete}}\n`,
  }),
  ndjson: (columns) => {
    const keys = columns.map(({ name }, index) => `${index === 0 ? "{" : ","}${JSON.stringify(name)}:`);
    return {
      begin: "",
      row: (cells) => `${cells.map((cell, index) => keys[index]! + (cell ?? "null")).join("")}}\n`,
      end: () => "",
    };
  },
  csv: (columns) => ({
    begin: `${columns.map(({ name }) => csvText(name)).join(",")}\r\n`,
    row: (cells) => `${cells.map((cell) => (cell === null ? "" : csvCell(cell))).join(",")}\r\n`,
    end: () => "",
  }),
};

function vectorsOf(chunk: DuckDBDataChunk, count: number): readonly DuckDBVector[] {
  return Array.from({ length: count }, (_, column) => chunk.getColumnVector(column));
}

function cellsOf(
  vectors: readonly DuckDBVector[],
  texts: readonly JsonText[],
  row: number,
): readonly (string | null)[] {
  return vectors.map((vector, column) => {
    const value = vector.getItem(row);
    return value === null ? null : texts[column]!(value);
  });
}

function typeName(result: DuckDBResult, index: number): string {
  const type = result.columnType(index);
  return type.alias ?? String(type);
}
