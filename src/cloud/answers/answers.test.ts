import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { SimClock } from "../../../sim/world.ts";
import { LIMITS, TidewireError } from "../../base/mod.ts";
import type { JsonObject, JsonValue } from "../../base/mod.ts";
import type { OutgoingRequest, OutgoingResponse } from "../../rules/mod.ts";
import { compileSql } from "../../sql/mod.ts";
import type { ExternalRequest } from "../../sql/mod.ts";
import { PlatformConfigSchema } from "../config.ts";
import { answersFrom } from "./answers.ts";
import type { AnswerSources } from "./answers.ts";
import { FunctionsConfigSchema, SecretsConfigSchema, TablesConfigSchema } from "./config.ts";
import { openFunction } from "./functions.ts";
import type { Callable } from "./functions.ts";
import { RuleSecrets } from "./secrets.ts";

const clock = new SimClock();

/** Tables and functions that say what they were asked. */
function scene(more: Partial<AnswerSources> = {}) {
  const echo: Callable = { call: (payload) => Promise.resolve({ given: payload as JsonValue }), close: () => {} };
  const row = (key: string, sort: string | null): Promise<JsonObject> => Promise.resolve({ key, sort });
  const close = (): Promise<void> => Promise.resolve();
  const tables = new Map([
    ["devices", { key: "id", sort: null, row, close }],
    ["limits", { key: "id", sort: "kind", row, close }],
  ]);
  return answersFrom({
    registry: null as unknown as AnswerSources["registry"],
    shadows: () => null,
    secrets: new RuleSecrets({ key: { env: "PATH" } }, clock, LIMITS.answers),
    tables,
    functions: new Map([["score", echo]]),
    ...more,
  });
}

const ROLE = "arn:aws:iam::1:role/r";

describe("answers", () => {
  const ROWS: readonly (readonly [request: ExternalRequest, answer: JsonValue | RegExp])[] = [
    [
      { name: "lookup", table: "devices", key: 5 },
      { key: "5", sort: null },
    ],
    [
      { name: "lookup", table: "devices", key: "5" },
      { key: "5", sort: null },
    ],
    [{ name: "lookup", table: "limits", key: "5" }, /has a sort key/],
    [{ name: "lookup", table: "none", key: "5" }, /there is no table 'none'/],
    [
      { name: "get_dynamodb", table: "devices", key: { id: "a" }, role: ROLE },
      { key: "a", sort: null },
    ],
    [
      { name: "get_dynamodb", table: "limits", key: { id: "a", kind: 1 }, role: ROLE },
      { key: "a", sort: "1" },
    ],
    [{ name: "get_dynamodb", table: "devices", key: { thing: "a" }, role: ROLE }, /its key is id, not thing/],
    [{ name: "get_dynamodb", table: "limits", key: { id: "a" }, role: ROLE }, /its key is id and kind, not id/],
    [{ name: "function", function: "score", payload: { n: 1 } }, { given: { n: 1 } }],
    [{ name: "aws_lambda", function: "arn:aws:lambda:eu-west-1:1234:function:score:live", payload: 2 }, { given: 2 }],
    [{ name: "aws_lambda", function: "constructor", payload: 2 }, /there is no function 'constructor'/],
    [{ name: "get_secret", secret: "__proto__", type: "SecretString", role: ROLE }, /there is no secret/],
    [{ name: "get_thing_shadow", thing: "a", shadow: null, role: ROLE }, /have not started/],
    [{ name: "machinelearning_predict", model: "m", record: {}, role: ROLE }, /AWS has closed/],
  ];
  for (const [request, expected] of ROWS) {
    test(JSON.stringify(request), async () => {
      if (expected instanceof RegExp) await assert.rejects(scene().external(request), expected);
      else assert.deepEqual(await scene().external(request), expected);
    });
  }

  test("a shadow is its document, with the numbers that rules can compute with; none is told as none", async () => {
    const get = ({ thing, name }: { thing: string; name: string }): string => {
      if (thing === "none")
        throw new TidewireError("SHADOW_NOT_FOUND", { reason: "No shadow exists with name: 'none'" });
      return `{"state":{"reported":{"name":"${name}"}},"version":3}`;
    };
    const { external } = scene({ shadows: () => ({ get }) });
    const shadow = { name: "get_thing_shadow", thing: "a", shadow: "config", role: ROLE } as const;
    assert.deepEqual(await external(shadow), { state: { reported: { name: "config" } }, version: 3 });
    await assert.rejects(external({ ...shadow, thing: "none" }), /No shadow exists/);
  });

  test("what nothing can answer is refused when the rule is written, with what would help", () => {
    const { unanswerable } = scene();
    assert.equal(unanswerable({ name: "get_registry_data", of: "DescribeThing" }), null);
    assert.equal(unanswerable({ name: "lookup", of: "devices" }), null);
    assert.equal(unanswerable({ name: "lookup", of: null }), null, "which table is known later");
    assert.match(unanswerable({ name: "lookup", of: "device" })!.fix, /Did you mean 'devices'/);
    assert.match(unanswerable({ name: "function", of: "x" })!.reason, /the function 'x', which is not in `functions`/);
    assert.equal(unanswerable({ name: "aws_lambda", of: "arn:aws:lambda:eu-west-1:1:function:score" }), null);
    assert.match(unanswerable({ name: "machinelearning_predict", of: "m" })!.fix, /function\('name'/);
    const bare = scene({ functions: new Map() });
    assert.match(bare.unanswerable({ name: "function", of: "x" })!.reason, /no function is configured/);
  });
});

describe("functions over HTTP", () => {
  function played(
    answer: (request: OutgoingRequest) => Partial<OutgoingResponse> | Promise<Partial<OutgoingResponse>>,
  ) {
    const requests: OutgoingRequest[] = [];
    const http = {
      post: async (request: OutgoingRequest): Promise<OutgoingResponse> => {
        requests.push(request);
        return { status: 200, headers: {}, body: "", ...(await answer(request)) };
      },
    };
    const own = new SimClock();
    const limits = { ...LIMITS.answers, functionInflightMax: 2 };
    const config = { url: "http://f/", headers: { "x-key": "k" } };
    return { f: openFunction(config, { http, clock: own, programs: "", limits }), requests, clock: own };
  }

  test("get the payload as JSON, or as it is, and answer with JSON", async () => {
    const { f, requests } = played(({ body }) => ({ body: `{"length":${body.length}}` }));
    assert.deepEqual(await f.call({ a: 1 }, 2_000), { length: 7 });
    assert.deepEqual(await f.call(new Uint8Array(3), 2_000), { length: 3 });
    assert.deepEqual(
      requests.map(({ headers }) => headers),
      [
        { "content-type": "application/json", "x-key": "k" },
        { "content-type": "application/octet-stream", "x-key": "k" },
      ],
    );
  });

  test("have no answer where it is empty; what is wrong is told", async () => {
    assert.equal(await played(() => ({ status: 204 })).f.call(1, 2_000), undefined);
    await assert.rejects(played(() => ({ status: 500 })).f.call(1, 2_000), /it answered with 500/);
    await assert.rejects(played(() => ({ body: "<html>" })).f.call(1, 2_000), /not JSON/);
    const long = JSON.stringify("x".repeat(LIMITS.answers.functionAnswerBytesMax));
    await assert.rejects(played(() => ({ body: long })).f.call(1, 2_000), /more than 131072 bytes/);
  });

  test("that fail again and again are left alone, longer and longer, until they answer", async () => {
    let status = 503;
    const { f, requests, clock: own } = played(() => ({ status, body: "1" }));
    const call = (): Promise<unknown> => f.call(1, 2_000).catch((error: unknown) => (error as Error).message);
    for (let i = 0; i < 5; i++) assert.equal(await call(), "it answered with 503");
    assert.match(String(await call()), /failed 5 times in a row and is left alone/);
    assert.equal(requests.length, 5);
    own.advance(1_000);
    assert.equal(await call(), "it answered with 503");
    own.advance(1_000);
    assert.match(String(await call()), /left alone/, "now for two seconds");
    own.advance(1_000);
    status = 200;
    assert.equal(await call(), 1);
    assert.equal(await call(), 1);
  });

  test("are not asked more at once than they may be; the rest wait their turn", async () => {
    const open: (() => void)[] = [];
    const { f, requests } = played(() => new Promise((resolve) => open.push(() => resolve({ body: "1" }))));
    const calls = [1, 2, 3].map((n) => f.call(n, 2_000));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(requests.length, 2);
    open.shift()!();
    await calls[0];
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(requests.length, 3);
    for (const answer of open) answer();
    assert.deepEqual(await Promise.all(calls), [1, 1, 1]);
  });
});

test("the configuration names where things are, and nothing else", () => {
  assert.equal(SecretsConfigSchema.safeParse({ a: { file: "/x" }, b: { env: "B" } }).success, true);
  for (const wrong of [{ a: "hunter2" }, { a: { value: "hunter2" } }, { "": { env: "B" } }, { a: { env: "A-B" } }]) {
    assert.equal(SecretsConfigSchema.safeParse(wrong).success, false);
  }
  const postgres = "postgres://u@localhost/db";
  assert.equal(TablesConfigSchema.safeParse({ t: { postgres, table: "plant.devices", key: "id" } }).success, true);
  for (const wrong of [
    { file: "/x" },
    { postgres, table: 'a"b', key: "id" },
    { postgres: "x", table: "a", key: "id" },
  ]) {
    assert.equal(TablesConfigSchema.safeParse({ t: wrong }).success, false);
  }
  for (const wrong of [{ program: "../sh" }, { url: "ftp://x" }, { url: "http://x", program: "y" }]) {
    assert.equal(FunctionsConfigSchema.safeParse({ f: wrong }).success, false);
  }
});

test("the examples of docs/rules-that-ask.md are right", () => {
  const page = readFileSync(new URL("../../../docs/rules-that-ask.md", import.meta.url), "utf8");
  const block = (kind: string): string => new RegExp(`\`\`\`${kind}\\n([^]*?)\`\`\``).exec(page)![1]!;
  const config = PlatformConfigSchema.parse(parse(block("yaml")));
  assert.deepEqual(Object.keys(config.tables), ["sites", "devices"]);
  const statement = compileSql(block("sql"));
  assert.deepEqual(statement.asked, [
    { name: "get_registry_data", of: "DescribeThing" },
    { name: "lookup", of: "sites" },
    { name: "function", of: "score" },
  ]);
});
