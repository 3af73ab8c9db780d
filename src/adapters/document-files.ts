/**
 * A folder of documents that people edit: YAML, JSON, and SQL with a YAML head, one document per file. Every fault has its file,
 * line and column, also those that only the platform can find.
 */
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { LineCounter, isNode, isScalar, parseAllDocuments, stringify } from "yaml";
import type { Document, ScalarTag } from "yaml";
import { LIMITS, TidewireError, isJsonObject, reasonOf } from "../base/mod.ts";
import type { JsonObject, JsonValue } from "../base/mod.ts";
import { makeFolder } from "./make-folder.ts";

export interface Place {
  /** Below the folder. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface FileFault extends Place {
  readonly reason: string;
  readonly fix: string | null;
}

export interface FileDocument {
  readonly file: string;
  readonly kind: string;
  readonly name: string;
  readonly document: JsonObject;
  /** Where a key is (`actions[0].alert`), or a line and column of the text that it has. The nearest that is written where it is missing. */
  place(at: string, line?: number | null, column?: number | null): Place;
}

export interface DocumentFolder {
  readonly documents: readonly FileDocument[];
  readonly faults: readonly FileFault[];
}

const ENDINGS = /\.(?:ya?ml|json|sql)$/;

/** Throws FILES_UNREADABLE. What begins with a dot is left out. */
export function readDocumentFolder(folder: string): DocumentFolder {
  const documents: FileDocument[] = [];
  const faults: FileFault[] = [];
  for (const file of filesOf(folder)) {
    try {
      documents.push(readDocument(folder, file));
    } catch (error) {
      if (!(error instanceof Misplaced)) throw error;
      faults.push(error.fault);
    }
  }
  return { documents, faults };
}

/** One file whose kind is known, wherever it lies. Throws CONFIG_FILE_UNREADABLE. */
export function readDocumentFile(path: string, kind: string): FileDocument {
  try {
    return readDocument(".", path, kind);
  } catch (error) {
    if (!(error instanceof Misplaced)) throw error;
    const { line, column, reason } = error.fault;
    throw new TidewireError("CONFIG_FILE_UNREADABLE", { file: `${path}:${line}:${column}`, reason }, { cause: error });
  }
}

/** Creates `file` below `folder`, or replaces it; the kind and the name stand ahead. */
export function writeDocument(folder: string, file: string, document: JsonObject): void {
  const path = join(folder, file);
  try {
    makeFolder(dirname(path), 0o777);
    writeFileSync(path, documentText(document));
  } catch (error) {
    throw new TidewireError("FILES_UNREADABLE", { folder, reason: reasonOf(error) }, { cause: error });
  }
}

/** As YAML; long lines stay whole, so that a comparison line by line is one of values. */
export function documentText(document: JsonObject): string {
  return stringify(document, { lineWidth: 0, aliasDuplicateObjects: false });
}

class Misplaced extends Error {
  readonly fault: FileFault;

  constructor(place: Place, reason: string, fix: string | null = null) {
    super(reason);
    this.fault = { ...place, reason, fix };
  }
}

function filesOf(folder: string): string[] {
  try {
    const found = (below: string): string[] =>
      readdirSync(join(folder, below))
        .filter((name) => !name.startsWith(".") && name !== "node_modules")
        .flatMap((name) => {
          const path = below === "" ? name : `${below}/${name}`;
          if (statSync(join(folder, path)).isDirectory()) return found(path);
          return ENDINGS.test(name) ? [path] : [];
        });
    const files = found("").sort();
    const { documentsMax } = LIMITS.files;
    if (files.length > documentsMax) throw new Error(`it has ${files.length} files; ${documentsMax} are allowed`);
    return files;
  } catch (error) {
    throw new TidewireError("FILES_UNREADABLE", { folder, reason: reasonOf(error) }, { cause: error });
  }
}

/** Text of a file without the part that is SQL, and where that begins. */
interface Parts {
  readonly yaml: string;
  /** Lines ahead of the YAML. */
  readonly yamlLines: number;
  readonly sql: { readonly text: string; readonly line: number } | null;
}

function readDocument(folder: string, file: string, known?: string): FileDocument {
  const text = textOf(folder, file);
  const { yaml, yamlLines, sql } = partsOf(file, text);
  const lines = new LineCounter();
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: line + yamlLines, column: Math.max(1, col) };
  };
  const all = parseAllDocuments(yaml, { lineCounter: lines, customTags: [environmentTag], merge: true });
  const parsed = "empty" in all ? [] : all;
  const [first, second] = parsed;
  for (const fault of parsed.flatMap(({ errors, warnings }) => errors.concat(warnings as typeof errors))) {
    throw new Misplaced(
      at(fault.pos[0]),
      reasonOf(fault)
        .split("\n")[0]!
        .replace(/ at line .*$/, ""),
    );
  }
  if (second !== undefined) throw new Misplaced(at(second.range[0]), "a file holds one document");
  const value = first === undefined ? {} : (first.toJS() as JsonValue);
  const start = { file, line: 1, column: 1 };
  if (value !== null && !isJsonObject(value)) throw new Misplaced(start, "it must be a mapping of keys to values");
  const { kind = sql === null ? known : "rule", name = nameOf(file), ...document } = value ?? {};
  const own = documentOf(file, kind, name, document, sql?.text ?? null);
  const place: FileDocument["place"] = (path, line = null, column = null) => {
    if (path === "sql" && sql !== null) return { file, line: sql.line + (line ?? 1) - 1, column: column ?? 1 };
    return first === undefined ? start : placeIn(first, yaml, path, line, column, at);
  };
  return { ...own, place };
}

function documentOf(
  file: string,
  kind: JsonValue | undefined,
  name: JsonValue,
  document: JsonObject,
  sql: string | null,
): Omit<FileDocument, "place"> {
  const start = { file, line: 1, column: 1 };
  if (kind === undefined) {
    throw new Misplaced(start, "it does not say what it is", "Add `kind: rule`, or another kind (docs/files.md).");
  }
  if (typeof kind !== "string" || typeof name !== "string") throw new Misplaced(start, "kind and name must be text");
  if (sql === null) return { file, kind, name, document };
  if ("sql" in document) throw new Misplaced(start, "the statement stands below the head, not in it");
  return { file, kind, name, document: { sql, ...document } };
}

function textOf(folder: string, file: string): string {
  try {
    const path = resolve(folder, file);
    const { size } = statSync(path);
    if (size > LIMITS.files.fileBytesMax) throw new Error(`it is larger than ${LIMITS.files.fileBytesMax} bytes`);
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    throw new Misplaced({ file, line: 1, column: 1 }, `it cannot be read: ${reasonOf(error)}`);
  }
}

function partsOf(file: string, text: string): Parts {
  if (!file.endsWith(".sql")) return { yaml: text, yamlLines: 0, sql: null };
  const head = /^---[ \t]*\r?\n([\s\S]*?)^---[ \t]*(?:\r?\n|$)/m.exec(text);
  if (head === null || head.index !== 0) return { yaml: "", yamlLines: 0, sql: { text: text.trimEnd(), line: 1 } };
  const line = head[0].split("\n").length;
  return { yaml: head[1]!, yamlLines: 1, sql: { text: text.slice(head[0].length).trimEnd(), line } };
}

/** `rules/hot.sql` → `hot`. */
function nameOf(file: string): string {
  return file.slice(file.lastIndexOf("/") + 1).replace(ENDINGS, "");
}

/** `password: !env SMTP_PASSWORD`: secrets need not stand in files. */
const environmentTag: ScalarTag = {
  tag: "!env",
  resolve: (name, onError) => {
    const value = process.env[name];
    if (value === undefined) onError(`the environment has no variable '${name}'`);
    return value ?? "";
  },
};

function placeIn(
  document: Document.Parsed,
  yaml: string,
  path: string,
  line: number | null,
  column: number | null,
  at: (offset: number) => Place,
): Place {
  const keys = (path.match(/[^.[\]]+/g) ?? []).map((key) => (/^\d+$/.test(key) ? Number(key) : key));
  for (let length = keys.length; length >= 0; length--) {
    const node: unknown = length === 0 ? document.contents : document.getIn(keys.slice(0, length), true);
    if (!isNode(node) || node.range === null || node.range === undefined) continue;
    const [offset] = node.range;
    const place = at(offset);
    if (line === null || length < keys.length || !isScalar(node)) return place;
    return withinText(place, line, column ?? 1, node.type ?? "", yaml.slice(offset));
  }
  return at(0);
}

/** A block's text begins below its `|`, as deep as its first line; another's right where it stands. */
function withinText(start: Place, line: number, column: number, type: string, source: string): Place {
  if (!type.startsWith("BLOCK")) {
    const quote = type.startsWith("QUOTE") ? 1 : 0;
    return line === 1 ? { ...start, column: start.column + column - 1 + quote } : start;
  }
  const depth = /\n( +)\S/.exec(source)?.[1]?.length ?? 0;
  return { ...start, line: start.line + line, column: depth + column };
}
