/** What rules ask, on a real platform: shadow, registry, secret, table, function by HTTP and as a program; and kill -9 while they wait. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { MqttClient } from "mqtt";
import type { BackTestResult } from "../../src/cloud/api/contract.ts";
import { addDevice, connectDevice } from "./support/device.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

interface Told {
  readonly id: string;
  readonly key: string | undefined;
  readonly body: Record<string, unknown>;
}

const folder = temporaryFolder();
const data = join(folder.path, "data");
const told: Told[] = [];
/** Requests to the function that wait; null: it answers at once. */
let held: ServerResponse[] | null = null;
let asked = 0;
let server: Server;
let platform: PlatformProcess;
let client: MqttClient;

async function textOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  return body;
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = JSON.parse(await textOf(request)) as Record<string, unknown>;
  if (request.url === "/score") {
    asked++;
    if (held === null) response.end(JSON.stringify({ score: Number(body["n"]) * 2 }));
    else held.push(response);
    return;
  }
  told.push({ id: String(request.headers["webhook-id"]), key: request.headers["x-key"] as string | undefined, body });
  response.writeHead(200).end();
}

function file(name: string, text: string, mode = 0o600): string {
  const path = join(folder.path, name);
  writeFileSync(path, text, { mode });
  return path;
}

const url = (path: string): string => `http://127.0.0.1:${(server.address() as { port: number }).port}${path}`;

function ruleOf(sql: string, header = "none"): object {
  return { sql, actions: [{ http: { url: url("/hook"), headers: [{ key: "x-key", value: header }] } }] };
}

const publish = (topic: string, body: object): Promise<unknown> =>
  client.publishAsync(topic, JSON.stringify(body), { qos: 1 });

before(async () => {
  server = createServer((request, response) => void serve(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  mkdirSync(join(data, "programs"), { recursive: true, mode: 0o700 });
  const program = `#!${process.execPath}
    require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
      const { id, input } = JSON.parse(line);
      console.log(JSON.stringify({ id, output: { up: String(input.text).toUpperCase() } }));
    });`;
  writeFileSync(join(data, "programs", "shout"), program, { mode: 0o700 });
  const config = {
    secrets: { hook: { file: file("hook-key", "hunter2\n") } },
    tables: { sites: { file: file("sites.csv", "id,name,limit\nnorth,North plant,80\n"), key: "id" } },
    functions: { score: { url: url("/score") }, shout: { program: "shout" } },
  };
  platform = await PlatformProcess.start(data, [
    "--config",
    file("tidewire.yaml", JSON.stringify(config)),
    "--no-archive",
  ]);
  client = await connectDevice(platform, await addDevice(platform, folder.path, "pi-1"));
});

after(async () => {
  await client?.endAsync(true);
  await platform?.stop();
  server.closeAllConnections();
  server.close();
  folder.remove();
});

test("a rule is told by shadow, registry, secret, table and functions; a changed table counts without a restart", async () => {
  await platform.api("PATCH", "/things/pi-1", { attributePayload: { attributes: { site: "north" } } });
  await platform.api("POST", "/things/pi-1/shadow", { state: { desired: { mode: "eco" } } });
  const sql = `SET @thing = get_registry_data('DescribeThing', thing(), 'role'),
      @site = lookup('sites', @thing.attributes.site)
    SELECT n, @site.name AS site, get_thing_shadow(thing(), 'role').state.desired.mode AS mode,
      function('score', {'n': n}).score AS score, aws_lambda('shout', {'text': @site.name}).up AS up,
      get_dynamodb('sites', 'id', @thing.attributes.site, 'role').limit AS lim
    FROM 'telemetry/+/line' WHERE n > 0`;
  await platform.api("POST", "/rules/whole", ruleOf(sql, "${get_secret('hook', 'SecretString', 'role')}"));
  await publish("telemetry/pi-1/line", { n: 0 });
  await publish("telemetry/pi-1/line", { n: 21 });
  await until("the answer", async () => told.length === 1);
  const expected = { n: 21, site: "North plant", mode: "eco", score: 42, up: "NORTH PLANT", lim: 80 };
  assert.deepEqual(told[0], { id: told[0]!.id, key: "hunter2", body: expected });
  file("sites.csv", "id,name,limit\nnorth,Northern plant,70\nsouth,S,1\n");
  await until("the new table", async () => {
    await publish("telemetry/pi-1/line", { n: 1 });
    return told.at(-1)!.body["site"] === "Northern plant";
  });
  assert.ok((await platform.metric('tidewire_rule_asks_total{function="get_secret",outcome="answered"}')) > 1);
  assert.equal(await platform.metric('tidewire_table_rows{table="sites"}'), 2);
  await platform.api("DELETE", "/rules/whole");
});

test("what cannot be answered is refused when the rule is written, with what would help", async () => {
  const refused = async (sql: string, pattern: RegExp): Promise<void> =>
    assert.rejects(platform.api("POST", "/rules/wrong", ruleOf(sql)), pattern);
  await refused("SELECT lookup('site', 1) FROM 'a'", /Did you mean 'sites'/);
  await refused("SELECT machinelearning_predict('m', 'r', {}) FROM 'a'", /AWS has closed Amazon Machine Learning/);
  await refused("SELECT get_secret('none', 'SecretString', 'r') FROM 'a'", /the secret 'none'/);
});

test("killed while hundreds of messages wait for a function that hangs: each is told, and other rules were not held up", async () => {
  told.length = 0;
  held = [];
  asked = 0;
  await platform.api(
    "POST",
    "/rules/slow",
    ruleOf("SELECT n, function('score', {'n': n}).score AS score FROM 'telemetry/+/slow'"),
  );
  await platform.api("POST", "/rules/quick", ruleOf("SELECT n, 'quick' AS by FROM 'telemetry/+/slow'"));
  const count = 600;
  await Promise.all(Array.from({ length: count }, (_, n) => publish("telemetry/pi-1/slow", { n })));
  await until("the quick rule", async () => told.length === count);
  assert.ok(asked > 0 && asked < 200, `${asked} were asked about`);
  await platform.kill();
  await client.endAsync(true);
  held = null;
  const before = told.length;
  platform = await PlatformProcess.start(data, ["--config", join(folder.path, "tidewire.yaml"), "--no-archive"]);
  const slow = (): Told[] => told.filter(({ body }) => body["by"] === undefined);
  await until("all that waited", async () => new Set(slow().map(({ id }) => id)).size === count);
  const firsts = new Map(slow().map(({ id, body }) => [id, body]));
  const numbers = [...firsts.values()].map(({ n }) => Number(n)).sort((a, b) => a - b);
  assert.deepEqual(
    numbers,
    Array.from({ length: count }, (_, n) => n),
  );
  const answered = [...firsts.values()].filter(({ n, score }) => score === Number(n) * 2);
  assert.ok(answered.length > count - 100, `${answered.length} have their answer`);
  assert.ok(told.slice(before).filter(({ body }) => body["by"] === "quick").length <= count);
});

test("the command line says what it cannot ask", async () => {
  const sql = "SELECT n FROM 'a' WHERE lookup('sites', 'north').limit > n";
  const explained = await runCli(["rules", "explain", sql, "--topic", "a", "--payload", '{"n":1}'], folder.path, {
    NO_COLOR: "1",
  });
  assert.match(explained.stdout, /WHERE is undecided[^]*lookup\(\) is asked when a message comes/);
});

test("rules on the past: what is looked up has today's answer, and both the command line and the API say so", async () => {
  const sql = `SET @thing = get_registry_data('DescribeThing', thing(), 'role')
    SELECT n, get_thing_shadow(thing(), 'role').state.desired.mode AS mode, function('score', {'n': n}).score AS score
    FROM 'telemetry/+/line' WHERE n >= lookup('sites', @thing.attributes.site, 'limit') - 69`;
  const own = ["--data", data, "--config", join(folder.path, "tidewire.yaml")];
  const tested = await runCli(["rules", "test", sql, "--since", "1h", "--json", ...own], folder.path);
  const { rule } = JSON.parse(tested.stdout) as BackTestResult;
  assert.deepEqual(rule.findings.first[0]?.value, { n: 21, mode: "eco" }, tested.stderr);
  assert.deepEqual(
    [rule.askedToday.toSorted(), rule.unasked],
    [["get_registry_data", "get_thing_shadow", "lookup"], ["function"]],
  );
  const calling = await runCli(["rules", "test", sql, "--since", "1h", "--call-functions", ...own], folder.path);
  assert.match(calling.stdout, /answers of .*function.* are today's, not those of then/, calling.stderr);
  assert.match(calling.stdout, /"score":42/);
  const message = ["--topic", "telemetry/pi-1/line", "--payload", '{"n":1}'];
  const explained = await runCli(["rules", "explain", sql, ...message, ...own], folder.path, { NO_COLOR: "1" });
  assert.match(explained.stderr, /is of now, not of then/);
  assert.match(explained.stdout, /WHERE is undecided/, "a message without a thing");
  const since = Date.now() - 3_600_000;
  const document = { sql, actions: [] };
  const answer = await fetch(`${platform.ready.http}/api/rules/back-test`, {
    method: "POST",
    headers: { authorization: `Bearer ${platform.ready.adminToken}`, "content-type": "application/json" },
    body: JSON.stringify({ rule: { name: "past", document }, since }),
  });
  const lines = await answer.text();
  const { result } = JSON.parse(lines.trim().split("\n").at(-1)!) as { result: BackTestResult };
  assert.deepEqual(result.rule.findings.first, rule.findings.first);
  assert.deepEqual([result.rule.askedToday, result.rule.unasked], [rule.askedToday, rule.unasked]);
});
