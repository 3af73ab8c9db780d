import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TidewireError } from "../../base/mod.ts";
import { TOKEN, apiWorld } from "./api.fixture.ts";

describe("/api/query", () => {
  test("POST: what is asked reaches the asker with the defaults of its limits", async () => {
    await using world = await apiWorld();
    world.queries.answer = '{"rows":[[1]]}';
    const answer = await world.ask("POST", "/api/query", { sql: "SELECT ?", parameters: [1, "a", null, ["x"]] });
    assert.deepEqual([answer.status, answer.json], [200, { rows: [[1]] }]);
    assert.equal(answer.headers["cache-control"], "no-store");
    assert.deepEqual(world.queries.asked, [
      {
        sql: "SELECT ?",
        parameters: [1, "a", null, ["x"]],
        format: "json",
        explain: false,
        rowsMax: 10_000,
        timeout: 10_000,
      },
    ]);
  });

  test("GET: the same from the address", async () => {
    await using world = await apiWorld();
    const parameters = encodeURIComponent('{"thing":"a"}');
    await world.ask(
      "GET",
      `/api/query?sql=SELECT+%24thing&parameters=${parameters}&timeout=5m&rows=7&explain=true&format=csv`,
    );
    assert.deepEqual(world.queries.asked, [
      { sql: "SELECT $thing", parameters: { thing: "a" }, format: "csv", explain: true, rowsMax: 7, timeout: 300_000 },
    ]);
  });

  test("the format comes from the body, else from Accept", async () => {
    await using world = await apiWorld();
    const typeFor = async (accept: string, format?: string): Promise<unknown> => {
      const body = { sql: "SELECT 1", ...(format === undefined ? {} : { format }) };
      const answer = await world.ask("POST", "/api/query", body, { accept });
      return answer.status === 200 ? answer.headers["content-type"] : answer.json;
    };
    assert.equal(await typeFor("*/*"), "application/json");
    assert.equal(await typeFor("text/html, text/csv;q=0.9, */*;q=0.1"), "text/csv; charset=utf-8");
    assert.equal(await typeFor("application/vnd.apache.parquet"), "application/vnd.apache.parquet");
    assert.equal(await typeFor("application/jsonl"), "application/x-ndjson");
    assert.equal(await typeFor("text/csv", "ndjson"), "application/x-ndjson");
    assert.equal(((await typeFor("image/png")) as { code: string }).code, "REQUEST_INVALID");
  });

  test("what cannot be asked is refused before anybody is asked", async () => {
    await using world = await apiWorld();
    const bodies: readonly unknown[] = [
      {},
      { sql: 1 },
      { sql: "SELECT 1", parameters: { a: { b: 1 } } },
      { sql: "SELECT 1", parameters: Array.from({ length: 101 }, () => 1) },
      { sql: "SELECT 1", format: "xml" },
      { sql: "SELECT 1", timeout: "10" },
      { sql: "SELECT 1", timeout: "31m" },
      { sql: "SELECT 1", timeout: "0s" },
      { sql: "SELECT 1", rows: 0 },
      { sql: "SELECT 1", rows: 100_001 },
      { sql: "SELECT 1", explain: true, format: "parquet" },
      { sql: "SELECT 1", database: "other" },
    ];
    for (const body of bodies) {
      const answer = await world.ask("POST", "/api/query", body);
      assert.deepEqual(
        [answer.status, (answer.json as { code: string }).code],
        [400, "REQUEST_INVALID"],
        JSON.stringify(body),
      );
    }
    assert.equal((await world.ask("GET", "/api/query?sql=SELECT+1&parameters=%7B")).status, 400);
    assert.deepEqual(world.queries.asked, []);
  });

  test("nobody asks without a login, and no other web site's page in an administrator's name", async () => {
    await using world = await apiWorld();
    assert.equal((await world.askAs({}, "POST", "/api/query", { sql: "SELECT 1" })).status, 401);
    const cookie = await world.askAs({}, "POST", "/api/session", { token: TOKEN });
    const session = String(cookie.headers["set-cookie"]).split(";")[0]!;
    const foreign = { cookie: session, "sec-fetch-site": "cross-site" };
    assert.equal((await world.askAs(foreign, "GET", "/api/query?sql=SELECT+1")).status, 403);
    assert.deepEqual(world.queries.asked, []);
  });

  test("a refusal keeps its code, its status and its place; damage is said in a header", async () => {
    await using world = await apiWorld();
    world.queries.answer = new TidewireError("QUERY_SQL_INVALID", {
      at: " at line 2, column 3",
      reason: "no such column",
    });
    const refused = await world.ask("POST", "/api/query", { sql: "SELECT x" });
    assert.equal(refused.status, 400);
    assert.match((refused.json as { message: string }).message, /at line 2, column 3: no such column/);
    for (const [code, status] of [
      ["QUERY_TOO_SLOW", 504],
      ["QUERY_BUSY", 503],
      ["QUERY_TOO_MUCH_MEMORY", 422],
    ] as const) {
      world.queries.answer = new TidewireError(code, {});
      assert.equal((await world.ask("POST", "/api/query", { sql: "SELECT 1" })).status, status, code);
    }
    world.queries.answer = "{}";
    world.queries.incomplete = true;
    const incomplete = await world.ask("POST", "/api/query", { sql: "SELECT 1" });
    assert.equal(incomplete.headers["x-tidewire-incomplete"], "damaged-files");
  });
});
