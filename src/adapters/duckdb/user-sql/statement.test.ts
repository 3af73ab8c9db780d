import assert from "node:assert/strict";
import { mkdtemp, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { LIMITS, TidewireError, isTidewireError } from "../../../base/mod.ts";
import { ATTACKS, FINE } from "./statement.cases.ts";
import { confine, openUserDatabase } from "./database.ts";
import type { UserDatabase } from "./database.ts";
import { USER_FUNCTIONS, USER_TABLE_FUNCTIONS } from "./functions.ts";
import { UserQuery } from "./query.ts";
import type { UserView } from "./views.ts";

const REFUSALS = ["QUERY_NOT_ALLOWED", "QUERY_SQL_INVALID"];
/** The secret's content; no answer may hold it. */
const SECRET = "the-administrator-token";

/** Relations with the right columns, and no rows. */
const VIEWS: readonly UserView[] = [
  view(
    "telemetry",
    "time TIMESTAMPTZ, thing VARCHAR, measurement VARCHAR, field VARCHAR, type VARCHAR, value DOUBLE, text VARCHAR",
  ),
  view("series", "thing VARCHAR, measurement VARCHAR, field VARCHAR, type VARCHAR"),
  view("things", "thing VARCHAR, type VARCHAR, attributes MAP(VARCHAR, VARCHAR), created TIMESTAMPTZ"),
  ...["rollups_1m", "rollups_1h", "rollups_1d"].map((name) =>
    view(name, "time TIMESTAMPTZ, thing VARCHAR, field VARCHAR, count BIGINT, avg DOUBLE"),
  ),
];

function view(name: string, columns: string): UserView {
  const nulls = columns.split(/, (?=[a-z]+ [A-Z])/).map((column) => {
    const [, label, type] = /^(\w+) (.*)$/.exec(column)!;
    return `NULL::${type} AS ${label}`;
  });
  return { name, sql: `SELECT ${nulls.join(", ")} WHERE false` };
}

let outside = "";
let folder = "";

before(async () => {
  outside = await mkdtemp(join(tmpdir(), "tidewire-sandbox-"));
  folder = join(outside, "asking");
  await mkdir(join(folder, "spill"), { recursive: true });
  for (const name of ["secret", "secret.csv", "secret.parquet"]) await writeFile(join(outside, name), `${SECRET}\n`);
});

after(() => rm(outside, { recursive: true, force: true }));

/** The same, without the check before it. */
async function uncheckedDatabase(): Promise<UserDatabase> {
  const database = await openUserDatabase(LIMITS.asking);
  await confine(database.connection, folder, VIEWS, LIMITS.asking);
  return database;
}

function closeDatabase({ connection, instance }: UserDatabase): void {
  connection.closeSync();
  instance.closeSync();
}

async function bound(): Promise<UserQuery> {
  const query = await UserQuery.open(LIMITS.asking);
  await query.bind(folder, VIEWS);
  return query;
}

/** The code of the refusal, or null where the statement may run. */
async function verdict(query: UserQuery, sql: string): Promise<string | null> {
  try {
    await query.check(sql, []);
    return null;
  } catch (error) {
    if (!isTidewireError(error)) throw error;
    return error.code;
  }
}

describe("what a user's SQL may not do", () => {
  for (const [what, statements] of Object.entries(ATTACKS)) {
    test(`a statement that ${what} is refused before anything runs (${statements.length})`, async () => {
      const query = await bound();
      try {
        for (const statement of statements) {
          const sql = statement.replaceAll("$SECRET", join(outside, "secret"));
          const code = await verdict(query, sql);
          assert.ok(code !== null && REFUSALS.includes(code), `${JSON.stringify(sql)}: ${code ?? "allowed"}`);
        }
      } finally {
        query.close();
      }
    });
  }

  test("there are enough of them, and each is there once", () => {
    const all = Object.values(ATTACKS).flat();
    assert.ok(all.length >= 150);
    assert.equal(new Set(all).size, all.length);
  });

  test("a statement that came past the check reaches no file, changes no setting and writes nothing elsewhere", async () => {
    const before = await readdir(outside);
    for (const statements of Object.values(ATTACKS)) {
      const database = await uncheckedDatabase();
      for (const statement of statements) {
        const sql = statement.replaceAll("$SECRET", join(outside, "secret"));
        if (/sleep|repeat_row|profiling/.test(sql)) continue; // harm nobody but themselves, and the test output
        assert.ok(!(await unchecked(database, sql)).includes(SECRET), sql);
      }
      closeDatabase(database);
    }
    assert.deepEqual(await readdir(outside), before);
  });

  test("settings stay closed", async () => {
    const database = await uncheckedDatabase();
    for (const sql of [
      "SET enable_external_access = true",
      "SET allowed_directories = ['/']",
      "SET memory_limit = '1TB'",
      "RESET lock_configuration",
    ]) {
      assert.match(await unchecked(database, sql), /^refused: .*(locked|not|cannot)/i, sql);
    }
    closeDatabase(database);
  });
});

describe("what a user's SQL may do", () => {
  test(`people's questions are answered (${FINE.length})`, async () => {
    for (const sql of FINE) {
      const query = await bound();
      try {
        await query.check(sql, []);
        const parameters = sql.includes("$least") ? { thing: "a", least: "1" } : sql.includes("?") ? ["a", 1] : [];
        const result = await query.stream(parameters, false);
        await result.fetchChunk();
      } catch (error) {
        assert.fail(`${sql}\n${error instanceof TidewireError ? error.message : String(error)}`);
      } finally {
        query.close();
      }
    }
  });

  test("which relations are read is known before: only those are fetched", async () => {
    const query = await bound();
    const relations = async (sql: string) => [...(await query.check(sql, [])).relations].sort();
    assert.deepEqual(await relations("SELECT 1"), []);
    assert.deepEqual(await relations("WITH series AS (SELECT 1) FROM series"), []);
    assert.deepEqual(await relations("SELECT (SELECT max(time) FROM rollups_1h) FROM Telemetry, things"), [
      "rollups_1h",
      "telemetry",
      "things",
    ]);
    query.close();
  });

  test("every function on the list is DuckDB's, and none of them is of a kind that reads or changes", async () => {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const kinds = new Map<string, Set<string>>();
    const rows = await connection.runAndReadAll("SELECT lower(function_name), function_type FROM duckdb_functions()");
    for (const [name, kind] of rows.getRows() as [string, string][]) {
      kinds.set(name, (kinds.get(name) ?? new Set()).add(kind));
    }
    connection.closeSync();
    instance.closeSync();
    for (const name of USER_FUNCTIONS) {
      const found = kinds.get(name);
      assert.ok(found !== undefined, `${name} is no function`);
      if (name === "unnest") continue; // DuckDB lists it among table functions only
      assert.ok(
        ["scalar", "aggregate", "macro"].some((kind) => found.has(kind)),
        `${name} is ${[...found].join(", ")}`,
      );
      assert.doesNotMatch(name, /^(duckdb_|pragma_|read_|current_setting|getenv|query|nextval|pg_(?!typeof))/);
    }
    for (const name of USER_TABLE_FUNCTIONS) assert.ok(kinds.get(name)?.has("table") === true, name);
  });
});

describe("what a refusal says", () => {
  test("line and column, also behind wide characters and over lines", async () => {
    const query = await bound();
    const refusal = async (sql: string): Promise<string> => {
      try {
        const { relations } = await query.check(sql, []);
        await query.stream([], false);
        return `${relations.size} relations`;
      } catch (error) {
        return (error as Error).message;
      }
    };
    assert.match(
      await refusal("SELECT '😀ä',\n  * FROM\n  telemetri"),
      /line 3, column 3: there is no relation 'telemetri'.*did you mean 'telemetry'/,
    );
    assert.match(await refusal("SELECT\n 'ä', read_txt('x')"), /line 2, column 7: the function 'read_txt'/);
    assert.match(await refusal("SELECT 1\n FRM telemetry"), /line 2, column \d+: syntax error/);
    assert.match(await refusal("SELECT\n tme FROM telemetry"), /line 2, column 2: .*"tme" not found.*"time"/);
    assert.match(await refusal("SELECT avg(text, 1, 2) FROM telemetry"), /line 1, column 8/);
    assert.match(await refusal("SELECT countt(*) FROM telemetry"), /did you mean 'count'/);
    query.close();
  });

  test("no path of this machine, and a value that cannot be cast is no syntax error", async () => {
    const query = await bound();
    await query.check("SELECT 'x'::INTEGER", []);
    await assert.rejects(
      query.stream([], false).then((result) => result.fetchChunk()),
      (error: Error) => {
        const ours = query.refusal(error);
        return ours.code === "QUERY_FAILED" && /Could not convert string 'x'/.test(ours.message);
      },
    );
    assert.doesNotMatch(
      query.refusal(new Error(`IO Error: Cannot open file "${folder}/a.parquet": gone`)).message,
      /sandbox/,
    );
    query.close();
  });

  test("a statement that is too long, too deep or half a character", async () => {
    const query = await bound();
    assert.equal(await verdict(query, `SELECT ${"1 + ".repeat(20_000)}1`), "QUERY_SQL_INVALID");
    assert.ok((await verdict(query, `SELECT ${"(".repeat(3_000)}1${")".repeat(3_000)}`)) !== "QUERY_BUG");
    assert.equal(await verdict(query, "SELECT '\ud83d'"), "QUERY_SQL_INVALID");
    assert.equal(await verdict(query, "SELECT 1\u0000"), "QUERY_SQL_INVALID");
    query.close();
  });
});

describe("parameters are bound, never pasted", () => {
  const run = async (sql: string, parameters: Parameters<UserQuery["stream"]>[0]): Promise<unknown> => {
    const query = await bound();
    try {
      await query.check(sql, parameters);
      const result = await query.stream(parameters, false);
      return (await result.getRows())[0]?.map(String);
    } catch (error) {
      return (error as Error).message;
    } finally {
      query.close();
    }
  };

  test("by position, by name, lists, and text that looks like SQL", async () => {
    assert.deepEqual(await run("SELECT ? || ?", ["a", "'; ATTACH 'x'; --"]), ["a'; ATTACH 'x'; --"]);
    assert.deepEqual(await run("SELECT $a + 1, $b", { a: 41, b: null }), ["42", "null"]);
    assert.deepEqual(await run("SELECT 'b' IN (SELECT unnest($names))", { names: ["a", "b"] }), ["true"]);
    assert.deepEqual(
      await run("SELECT $t::TIMESTAMPTZ > '2026-01-01'::TIMESTAMPTZ, $n * 0.5", { t: "2026-02-01", n: 3 }),
      ["true", "1.5"],
    );
  });

  test("one that is missing or too many is named", async () => {
    assert.match(String(await run("SELECT $a, $b", { a: 1 })), /\$b has no value/);
    assert.match(String(await run("SELECT ?, ?", [1])), /number 2 has no value/);
    assert.match(String(await run("SELECT $a", { a: 1, c: 2 })), /\$c, which it does not have/);
    assert.match(String(await run("SELECT 1", ["x"])), /number 1, which it does not have/);
  });
});

describe("fuzz", () => {
  const pieces = [...Object.values(ATTACKS).flat(), ...FINE];
  const tokens = pieces.flatMap((sql) => sql.match(/\w+|'[^']*'|[^\s\w]/g) ?? []);

  test(
    "mutated statements: a verdict for each, and nothing that passes reaches the secret",
    { timeout: 200_000 },
    async () => {
      const query = await bound();
      const database = await uncheckedDatabase();
      let passed = 0;
      const mutation = fc.record({
        sql: fc.constantFrom(...pieces),
        other: fc.constantFrom(...pieces),
        token: fc.constantFrom(...tokens),
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        how: fc.constantFrom("insert", "replace", "splice", "swap case", "nest", "cut", "with"),
      });
      await fc.assert(
        fc.asyncProperty(mutation, async (given) => {
          const sql = mutated(given).replaceAll("$SECRET", join(outside, "secret"));
          if ((await verdict(query, sql)) !== null) return;
          passed++;
          assert.ok(!(await unchecked(database, sql, true)).includes(SECRET), sql);
        }),
        { numRuns: 3_000 },
      );
      assert.ok(passed > 50, `only ${passed} passed: the fuzz says nothing`);
      query.close();
      closeDatabase(database);
    },
  );
});

interface Mutation {
  readonly sql: string;
  readonly other: string;
  readonly token: string;
  readonly at: number;
  readonly how: string;
}

function mutated({ sql, other, token, at, how }: Mutation): string {
  const place = Math.floor(at * sql.length);
  switch (how) {
    case "insert":
      return `${sql.slice(0, place)} ${token} ${sql.slice(place)}`;
    case "replace":
      return sql.replace(/\w+/, token);
    case "splice":
      return sql.slice(0, place) + other.slice(Math.floor(at * other.length));
    case "swap case":
      return Array.from(sql, (letter, index) => (index % 2 === 0 ? letter.toUpperCase() : letter.toLowerCase())).join(
        "",
      );
    case "nest":
      return `SELECT * FROM (${sql}) x, (${other}) y`;
    case "with":
      return `WITH telemetry AS (${sql}), x AS (${other}) SELECT * FROM x, telemetry`;
    default:
      return sql.slice(place);
  }
}

/** The answer's text, or why there is none. `planOnly`: what is read while a statement is bound, where running it could take long. */
async function unchecked({ connection }: UserDatabase, sql: string, planOnly = false): Promise<string> {
  try {
    if (planOnly) return String((await connection.prepare(sql)).columnCount);
    const reader = await connection.streamAndReadUntil(sql, 1000);
    return JSON.stringify(reader.getRowsJson());
  } catch (error) {
    return `refused: ${(error as Error).message}`;
  }
}
