import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PlatformProcess, ROOT, runCli, temporaryFolder } from "./support/platform-process.ts";
import type { Exit } from "./support/platform-process.ts";

/** With which every colour of a terminal begins. */
const ESCAPE = "\u001b";

const folder = temporaryFolder();
const data = join(folder.path, "data");
let platform: PlatformProcess;

before(async () => {
  mkdirSync(data);
  platform = await PlatformProcess.start(data);
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

/** On the platform of this machine, in the folder of a user. */
function cli(...args: readonly string[]): Promise<Exit> {
  return runCli([...args, "--data", data], folder.path, { NO_COLOR: "1" });
}

function file(name: string, content: unknown): string {
  const path = join(folder.path, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

/** Nothing but the result on standard output; nothing at all on standard error. */
function resultOf({ code, stdout, stderr }: Exit): string {
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout;
}

function assertRefused(exit: Exit, code: number, error: string, says: RegExp = /./): void {
  assert.deepEqual([exit.code, exit.stdout], [code, ""], exit.stderr);
  assert.match(exit.stderr, /^tidewire: /);
  assert.match(exit.stderr, new RegExp(`\\n {2}${error}\\n$`), "the stable code is the last line");
  assert.match(exit.stderr, says);
  assert.doesNotMatch(exit.stderr, /\n\s+at /, "no stack");
  assert.ok(!exit.stderr.includes(ESCAPE), "no colours");
}

test("things add: --json is one object; the folder is whole; attributes are kept; list shows it, --json line by line", async () => {
  const added = JSON.parse(
    resultOf(await cli("things", "add", "pump-1", "--json", "--attribute", "site=north", "note=a=b")),
  ) as Record<string, string>;
  assert.deepEqual([added["thing"], added["folder"]], ["pump-1", join(folder.path, "pump-1")]);
  assert.match(added["certificateId"]!, /^[0-9a-f]{64}$/);
  assert.deepEqual(readdirSync(added["folder"]!).sort(), [
    "agent.yaml",
    "ca.pem",
    "certificate.pem",
    "private-key.pem",
  ]);
  const { attributes } = await platform.api<{ attributes: object }>("GET", "/things/pump-1");
  assert.deepEqual(attributes, { site: "north", note: "a=b" });
  assert.match(
    resultOf(await cli("things", "add", "pump-2")),
    /^Added pump-2\..*\n.*tidewire agent --config agent\.yaml\n/,
  );
  const lines = resultOf(await cli("things", "list", "--json"))
    .trimEnd()
    .split("\n");
  const names = lines.map((line) => (JSON.parse(line) as { thingName: string }).thingName);
  assert.deepEqual(names, ["pump-1", "pump-2"]);
  assert.match(resultOf(await cli("things", "list")), /^THING +STATE +LAST SEEN +ALERTS\npump-1 +never +never +0\n/);
});

test("things add: what goes wrong leaves nothing behind, and the name free", async () => {
  assertRefused(await cli("things", "add", "bad name"), 2, "REQUEST_INVALID", /a thing name is/);
  assertRefused(
    await cli("things", "add", "pump-3", "--attribute", "nonsense"),
    2,
    "CONFIG_VALUE_INVALID",
    /--attribute.*key=value/,
  );
  const blocked = join(file("a-file", ""), "pump-3");
  assertRefused(await cli("things", "add", "pump-3", "--out", blocked), 3, "DATA_FOLDER_UNUSABLE");
  await assert.rejects(platform.api("GET", "/things/pump-3"), /404/);
  const before = await platform.api<{ certificates: unknown[] }>("GET", "/certificates");
  resultOf(await cli("things", "add", "pump-3"));
  const after = await platform.api<{ certificates: unknown[] }>("GET", "/certificates");
  assert.equal(after.certificates.length, before.certificates.length + 1);
});

test("rules put, list, delete: good documents, bad ones with their place, SQL with a caret", async () => {
  const rule = { sql: "SELECT * FROM 'plant/#'", actions: [{ telemetry: {} }] };
  const good = file("rule.json", rule);
  assert.equal(resultOf(await cli("rules", "put", "plant", good)), "Rule plant is in force.\n");
  assert.equal(
    resultOf(await cli("rules", "put", "plant", file("rule2.json", { ...rule, sql: "SELECT * FROM 'b/#'" }))),
    "Rule plant is in force.\n",
  );
  assert.match(resultOf(await cli("rules", "list")), /^RULE +STATE +TOPICS\n[\s\S]*plant +enabled +b\/#\n/);
  const listed = resultOf(await cli("rules", "list", "--json"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { ruleName: string });
  assert.ok(listed.some((one) => one.ruleName === "plant"));
  const bad = await cli("rules", "put", "plant", file("bad.json", { ...rule, sql: "SELECT a FORM 'x'" }));
  assertRefused(bad, 2, "RULE_SQL_INVALID", /line 1, column 10[\s\S]*SELECT a FORM 'x'\n +\^\n/);
  assertRefused(
    await cli("rules", "put", "new", file("bad2.json", { ...rule, actions: [{ fax: {} }] })),
    2,
    "RULE_INVALID",
    /actions/,
  );
  assertRefused(await cli("rules", "put", "new", file("no.json", "{")), 2, "CONFIG_FILE_UNREADABLE", /no\.json/);
  assertRefused(
    await cli("rules", "put", "new", join(folder.path, "nowhere.json")),
    2,
    "CONFIG_FILE_UNREADABLE",
    /nowhere/,
  );
  assert.equal(resultOf(await cli("rules", "delete", "plant", "--yes")), "Deleted rule plant.\n");
  assertRefused(await cli("rules", "delete", "plant"), 1, "NOT_FOUND", /plant/);
});

test("what cannot be taken back says what it means, and is not done where nobody can answer", async () => {
  const { certificateId } = JSON.parse(resultOf(await cli("things", "add", "pump-4", "--json"))) as {
    certificateId: string;
  };
  const rule = file("dry.json", { sql: "SELECT * FROM 'dry/#'", actions: [{ telemetry: {} }] });
  resultOf(await cli("rules", "put", "dry", rule));
  resultOf(await cli("schemas", "put", "dry", file("dry.yaml", "topic: dry/run\nschema: { type: object }\n")));
  resultOf(await cli("schedules", "put", "dry", file("dry-clock.yaml", "cron: 0 6 * * *\ntopic: dry/clock\n")));
  resultOf(await cli("users", "add", "anna"));
  resultOf(await cli("shadow", "update", "pump-4", "--desired", '{"on":true}'));
  resultOf(await cli("keys", "add", "dry", "--scope", "fleet:read", "--json"));
  const { keys } = await platform.api<{ keys: { id: string }[] }>("GET", "/api/keys?all=true");
  const key = keys[0]!.id;
  const all: readonly (readonly [args: readonly string[], means: RegExp, done: RegExp])[] = [
    [
      ["certs", "revoke", certificateId],
      /^Revoking certificate [0-9a-f]{8}… of pump-4 means:\n {2}- .*disconnected now/,
      /Revoked/,
    ],
    [["rules", "delete", "dry"], /^Deleting rule 'dry' means:\n.*SQL/, /Deleted/],
    [["rules", "dead", "drop", "--rule", "dry"], /^Dropping all dead letters of rule dry means:\n.*gone/, /Dropped: 0/],
    [["rules", "dead", "drop", "--all"], /^Dropping all dead letters means:\n.*gone/, /Dropped: 0/],
    [["schemas", "delete", "dry"], /^Deleting schema 'dry' means:\n.*dry\/run takes every payload/, /Deleted/],
    [["schedules", "delete", "dry"], /^Deleting schedule 'dry' means:\n.*dry\/clock/, /Deleted/],
    [["shadow", "delete", "pump-4"], /^Deleting shadow of pump-4 means:\n.*gone/, /Deleted/],
    [["users", "reset", "anna"], /^Ending the password of 'anna' means:\n.*dashboards/, /#invitation=/],
    [["users", "remove", "anna"], /^Removing user 'anna' means:\n.*end now/, /Removed/],
    [["keys", "revoke", key], /^Revoking key '.*' means:\n.*refused/, /Revoked/],
    [["things", "password", "pump-4", "--json"], /^Replacing the password of 'pump-4' means:\n.*cut/, /"password":"/],
    [["things", "password", "pump-4", "--remove"], /^Removing the password of 'pump-4' means:\n.*cut/, /no password/],
    [["things", "retire", "pump-4"], /^Retiring 'pump-4' means:\n/, /retired/],
  ];
  resultOf(await cli("things", "password", "pump-4", "--json")); // the first one is given without asking
  const rotate = ["token", "rotate"]; // done in pub-sub.test.ts: here the other tests need the token
  const asked = [...all, [rotate, /^Replacing the administrator token means:\n.*cut/] as const];
  for (const [args, means] of asked) {
    const hesitant = await cli(...args);
    assert.deepEqual([hesitant.code, hesitant.stdout], [2, ""], args.join(" "));
    assert.match(hesitant.stderr, means);
    assert.match(
      hesitant.stderr,
      /was not done: nobody has confirmed it\.\n.*add --yes\.\n {2}CONFIRMATION_MISSING\n$/,
    );
  }
  for (const [args, , done] of all) assert.match(resultOf(await cli(...args, "--yes")), done, args.join(" "));
});

test("login-link prints one link that works once", async () => {
  const link = new URL(resultOf(await cli("login-link")).trimEnd());
  assert.equal(link.origin, platform.ready.http);
  const code = /^#code=(.+)$/.exec(link.hash)![1]!;
  const login = (): Promise<Response> =>
    fetch(`${link.origin}/api/session`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ code }),
    });
  assert.deepEqual([(await login()).status, (await login()).status], [204, 401]);
});

test("log verify: findings on standard output, --json one per line; without a log it makes none", async () => {
  assert.match(resultOf(await cli("log", "verify")), /records in .* batches/);
  const findings = resultOf(await cli("log", "verify", "--json"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { kind: string });
  assert.ok(findings.some((finding) => finding.kind === "segment"));
  const elsewhere = join(folder.path, "elsewhere");
  const none = await runCli(["log", "verify", "--data", elsewhere], folder.path);
  assertRefused(none, 3, "DATA_FOLDER_UNUSABLE", /holds no log/);
  assert.equal(existsSync(elsewhere), false);
});

test("where the platform is comes from --url, the environment, or the data folder; the token too", async () => {
  const { http, adminToken } = platform.ready;
  const env = { TIDEWIRE_URL: http, TIDEWIRE_TOKEN: adminToken };
  assert.equal((await runCli(["things", "list"], folder.path, env)).code, 0);
  assert.equal((await runCli(["things", "list", "--url", `${http}/`, "--token", adminToken], folder.path)).code, 0);
  const nowhere = await runCli(["things", "list", "--url", http, "--data", "nowhere"], folder.path);
  assertRefused(nowhere, 4, "TOKEN_MISSING", /nowhere/);
  const wrong = await runCli(["things", "list", "--url", "no url", "--token", "x"], folder.path);
  assertRefused(wrong, 5, "PLATFORM_UNREACHABLE");
});

test("another program on that port is told as such, and the token follows no redirect", async () => {
  const tokens: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    tokens.push(request.headers.authorization);
    if (request.url === "/moved/api/fleet?limit=250") response.writeHead(302, { location: "/elsewhere" }).end();
    else response.end("<html>hello</html>");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ask = (base: string): Promise<Exit> => runCli(["things", "list", "--url", base, "--token", "t"], folder.path);
  assertRefused(await ask(url), 5, "PLATFORM_UNREACHABLE", /no Tidewire/);
  assertRefused(await ask(`${url}/moved`), 5, "PLATFORM_UNREACHABLE");
  assert.equal(tokens.length, 2, "the redirect was not followed");
  server.close();
});

test("up: wrong values of flags are told before anything is started", async () => {
  const fresh = join(folder.path, "fresh");
  for (const [flags, says] of [
    [["--webhook", "nonsense"], /--webhook/],
    [["--slack-webhook", "ftp://x"], /--slack-webhook/],
    [["--host", ""], /--host/],
    [["--listen", "mqtt://0.0.0.0:1883?auth=none"], /127\.0\.0\.1/],
    [["--listen", "mqtt://127.0.0.1:1883"], /auth=none/],
  ] as const) {
    const exit = await runCli(["up", "--data", fresh, ...flags], folder.path);
    assertRefused(exit, 2, "CONFIG_VALUE_INVALID", says);
  }
  const port = await runCli(["up", "--data", fresh, "--http-port", "99999"], folder.path);
  assert.deepEqual([port.code, port.stdout], [2, ""]);
  assert.match(port.stderr, /a port is a number/);
  assert.equal(existsSync(fresh), false);
});

test("up without --ready-json: three lines and the token once; with NO_COLOR and without a terminal no colours", async () => {
  const own = join(folder.path, "own");
  const ports = ["--bind", "127.0.0.1", "--mqtts-port", "0", "--http-port", "0", "--https-port", "0"];
  for (const first of [true, false]) {
    const child = spawn(process.execPath, [join(ROOT, "src/main.ts"), "up", "--data", own, ...ports], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const exited = once(child, "close");
    let out = "";
    let notes = "";
    child.stderr.on("data", (chunk: Buffer) => (notes += chunk.toString()));
    await new Promise<void>((resolve) => {
      child.stdout.on("data", (chunk: Buffer) => {
        out += chunk.toString();
        if (out.includes("Ctrl-C\n")) resolve();
      });
    });
    child.kill("SIGTERM");
    assert.deepEqual(await exited, [0, null]);
    const token = readFileSync(join(own, "secrets", "admin-token"), "utf8").trim();
    assert.equal(out.includes(token), first, "shown at the first start only");
    assert.match(
      out,
      /Dashboard {5}http:\/\/127\.0\.0\.1:\d+\/#code=\S+\n {2}Add a device .* --data \S+\n {2}Stop +Ctrl-C\n$/,
    );
    assert.ok(!(out + notes).includes(ESCAPE));
    assert.equal(notes, "Stopping …\n");
  }
});

test("a reader that goes away early is no error", async () => {
  const child = spawn(process.execPath, [join(ROOT, "src/main.ts"), "things", "list", "--json", "--data", data], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, "close")) as [number];
  assert.deepEqual([code, stderr], [0, ""]);
});
