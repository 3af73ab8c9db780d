/** Which line of code claims which normative statement of MQTT, and which test names it in its title. */
import { SPECIFICATIONS } from "./mqtt-statements.ts";
import type { Statement } from "./mqtt-statements.ts";
import { isTest } from "./source.ts";
import type { SourceFile } from "./source.ts";

/** Anything that means to be a statement, also one that does not exist. */
const MENTION = /\bMQTT(?:311)?-\d[\w.]*-\w+/g;

export interface Mention {
  readonly id: string;
  readonly path: string;
  /** The symbol that holds the line, or the title of the test. */
  readonly name: string;
}

export interface Evidence {
  readonly statement: Statement;
  /** Where code claims to satisfy it, itself or as the statement of 5.0 that asks the same. */
  readonly claims: readonly Mention[];
  readonly proofs: readonly Mention[];
  readonly status: "proven" | "claimed only" | "tested only" | "missing" | "client only" | "exempt";
}

/** Tests, and the case tables that they walk. */
function isProof(path: string): boolean {
  return isTest(path) || path.startsWith("test/");
}

export function claimsIn(files: readonly SourceFile[]): readonly Mention[] {
  return files.filter((file) => !isProof(file.path)).flatMap(claimsOf);
}

function claimsOf(file: SourceFile): readonly Mention[] {
  const lines = file.text.split("\n");
  return lines.flatMap((line, at) =>
    (line.match(MENTION) ?? []).map((id) => ({ id, path: file.path, name: symbolAt(lines, at) })),
  );
}

const COMMENT = /^\s*(?:\/\/|\/\*|\*)/;
const TOP = /^(?:export )?(?:async )?(?:function\*?|class|const|let|interface|type) ([\w$]+)/;
const MEMBER = /^ {2}(?:(?:readonly|static|async|get|set|private) )*\*?(#?[\w$]+)(?:<[^>]*>)?(?:[(:;?!]| =)/;

/** The declaration that a line belongs to, as the formatter lays files out; a comment belongs to what it stands before. */
function symbolAt(lines: readonly string[], at: number): string {
  let from = at;
  while (COMMENT.test(lines[from] ?? "") && from < lines.length - 1) from++;
  const indent = /^ */.exec(lines[at]!)![0].length;
  if (from !== at && /^ */.exec(lines[from]!)![0].length > indent) from = at;
  let member: string | null = null;
  for (let i = from; i >= 0; i--) {
    const line = lines[i]!;
    member ??= MEMBER.exec(line)?.[1] ?? null;
    const top = TOP.exec(line)?.[1];
    if (top === undefined) continue;
    const holds = /^(?:export )?(?:class|interface) /.test(line);
    return holds && member !== null && i !== from ? `${top}.${member}` : top;
  }
  return "the file";
}

export function proofsIn(files: readonly SourceFile[]): readonly Mention[] {
  return files.filter((file) => isProof(file.path)).flatMap(proofsOf);
}

const STRING = /"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`/g;

/** In a title, not in a comment: what a test means to prove is printed when it fails. */
function proofsOf({ path, code }: SourceFile): readonly Mention[] {
  if (path.startsWith("test/house/")) return [];
  return [...code.matchAll(STRING)].flatMap(([, plain, template]) => {
    const title = plain ?? template!;
    return (title.match(MENTION) ?? []).map((id) => ({ id, path, name: title }));
  });
}

export function evidence(files: readonly SourceFile[]): readonly { title: string; rows: readonly Evidence[] }[] {
  const claims = Map.groupBy(claimsIn(files), ({ id }) => id);
  const proofs = Map.groupBy(proofsIn(files), ({ id }) => id);
  return SPECIFICATIONS.map(({ title, statements }) => ({
    title,
    rows: statements.map((statement) => {
      const own = [statement.id, ...(statement.same ?? [])].flatMap((id) => claims.get(id) ?? []);
      const named = proofs.get(statement.id) ?? [];
      return { statement, claims: own, proofs: named, status: statusOf(statement, own.length, named.length) };
    }),
  }));
}

function statusOf({ binds, exempt }: Statement, claims: number, proofs: number): Evidence["status"] {
  if (exempt !== undefined) return "exempt";
  if (claims > 0 && proofs > 0) return "proven";
  if (claims > 0) return "claimed only";
  // What binds a client alone may be tested for what becomes of one that does otherwise.
  if (binds === "client") return "client only";
  return proofs > 0 ? "tested only" : "missing";
}
