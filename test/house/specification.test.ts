import assert from "node:assert/strict";
import { test } from "node:test";
import { claimsIn, evidence, proofsIn } from "./mqtt-claims.ts";
import type { Evidence } from "./mqtt-claims.ts";
import { SPECIFICATIONS } from "./mqtt-statements.ts";
import { sourceFiles, withoutComments } from "./source.ts";
import type { SourceFile } from "./source.ts";

const files = ["src", "sim", "test"].flatMap((folder) => sourceFiles(folder));
const rows = evidence(files).flatMap(({ rows }) => rows);
const known = new Set(SPECIFICATIONS.flatMap(({ statements }) => statements.map(({ id }) => id)));

function lines(of: readonly Evidence[]): string {
  return of.map(({ statement, status }) => `${statement.id} (${status}): ${statement.says}`).join("\n");
}

test("every normative statement that binds a server is satisfied by code and proven by a test", (t) => {
  const open = rows.filter(({ status }) => ["missing", "claimed only", "tested only"].includes(status));
  for (const { title, rows: own } of evidence(files)) {
    const counts = [...Map.groupBy(own, ({ status }) => status)].map(([status, of]) => `${of.length} ${status}`);
    t.diagnostic(`${title}: ${counts.join(", ")}`);
  }
  assert.equal(open.length, 0, `${open.length} statements lack code or test:\n${lines(open)}`);
});

test("what is said to be exempt is claimed by no code", () => {
  const claimed = rows.filter((row) => row.status === "exempt" && row.claims.length > 0);
  assert.equal(claimed.length, 0, lines(claimed));
});

test("code and tests name no statement that does not exist", () => {
  const named = [...claimsIn(files), ...proofsIn(files)];
  assert.ok(named.length > 350, "the code names the statements that it satisfies");
  const unknown = named.filter(({ id, path }) => !known.has(id) && !path.startsWith("test/house/"));
  assert.deepEqual(
    unknown.map(({ id, path, name }) => `${id} in ${path}: ${name}`),
    [],
  );
});

test("statements of 3.1.1 are written as such", () => {
  const old = /MQTT-[\d.]+-\d+\]? of 3\.1\.1|3\.1\.1: \[MQTT-/;
  const wrong = files.filter(({ path, text }) => old.test(text) && !path.startsWith("test/house/"));
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test("the tables name each statement once, and what 3.1.1 says to be the same is of 5.0", () => {
  const all = SPECIFICATIONS.flatMap(({ statements }) => statements);
  assert.equal(known.size, all.length);
  for (const { id } of all) assert.match(id, /^MQTT(?:311)?-\d+\.\d+\.\d+-\d+$/);
  for (const { id, same = [] } of all) for (const other of same) assert.ok(known.has(other), `${id}: ${other}`);
});

const sample = (path: string, text: string): SourceFile => ({ path, text, code: withoutComments(text) });

test("a claim is found with the symbol that holds it", () => {
  const text = `/** [MQTT-1.1.1-1] */
export function first(): void {
  call(); // [MQTT-1.1.1-2]
}

export class Second {
  /** [MQTT-1.1.1-3] */
  #field = 0;

  method(value: number): void {
    // [MQTT-1.1.1-4]
    if (value) call();
  }
}
`;
  assert.deepEqual(
    claimsIn([sample("src/broker/x.ts", text)]).map(({ id, name }) => [id.at(-1), name]),
    [
      ["1", "first"],
      ["2", "first"],
      ["3", "Second.#field"],
      ["4", "Second.method"],
    ],
  );
});

test("a comment in a test proves nothing", () => {
  const text = `test("named [MQTT-1.1.1-1]", () => {
    // [MQTT-1.1.1-2]
  });`;
  assert.deepEqual(
    proofsIn([sample("src/broker/x.test.ts", text)]).map(({ id }) => id),
    ["MQTT-1.1.1-1"],
  );
});
