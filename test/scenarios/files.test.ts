import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PlatformProcess, runCli, temporaryFolder } from "./support/platform-process.ts";
import type { Exit } from "./support/platform-process.ts";

/** Configuration as files against a real platform: diff, apply, pull, and two people who change the same thing. */
const folder = temporaryFolder();
const data = join(folder.path, "data");
const files = join(folder.path, "config");
let platform: PlatformProcess;

const cli = (...args: string[]): Promise<Exit> =>
  runCli([...args, "--data", data], folder.path, { TOKEN_OF_HOOK: "s3cret", CHAT: "https://chat.example/s3cret" });
const write = (name: string, text: string): void => writeFileSync(join(files, name), text);
const rules = async (): Promise<string[]> =>
  (await platform.api<{ rules: { ruleName: string }[] }>("GET", "/rules")).rules.map(({ ruleName }) => ruleName);

const HOT = `# why 80: the bearing's data sheet
kind: rule
sql: SELECT * FROM 'telemetry/#' WHERE temperature > 80
actions:
  - alert: { severity: critical, summary: "\${thing} is hot" }
  - webhook: { url: "https://hooks.example/x", headers: { authorization: !env TOKEN_OF_HOOK } }
`;
const COLD = `---
description: freezing pipes
actions:
  - republish: { topic: "cold/\${thing}" }
---
SELECT temperature
FROM 'telemetry/#'
WHERE temperature < 2
`;

before(async () => {
  mkdirSync(data);
  mkdirSync(files);
  platform = await PlatformProcess.start(data);
});
after(async () => {
  await platform?.stop();
  folder.remove();
});

test("pull writes what runs; diff then finds nothing, and says so with its exit status", async () => {
  const pulled = await cli("pull", files);
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.ok(readdirSync(join(files, "rules")).length > 0, "the default rules");
  const same = await cli("diff", files);
  assert.deepEqual([same.code, same.stdout], [0, ""], same.stderr);
});

test("new files: diff shows them without the secret, apply --dry-run changes nothing, apply makes them run", async () => {
  write("hot.yaml", HOT);
  write("cold.sql", COLD);
  const before = await rules();
  const shown = await cli("diff", files);
  assert.equal(shown.code, 1, shown.stderr);
  assert.match(shown.stdout, /^\+\+\+ rule hot \(hot\.yaml\)$/m);
  assert.match(shown.stdout, /^\+ +authorization: .*#[0-9a-f]{8}\*\*\*/m);
  assert.doesNotMatch(shown.stdout, /s3cret|\[\d+m/);
  assert.equal((await cli("apply", files, "--dry-run")).code, 0);
  assert.deepEqual(await rules(), before);
  const applied = await cli("apply", files);
  assert.equal(applied.code, 0, applied.stderr);
  assert.match(applied.stdout, /Done: 2 created, 0 updated, 0 deleted/);
  assert.deepEqual(await rules(), [...before, "cold", "hot"].sort());
  assert.equal((await cli("diff", files)).code, 0);
  assert.equal(readFileSync(join(files, "hot.yaml"), "utf8"), HOT, "nobody touches a user's file");
});

test("an edit shows as its lines; another secret shows as another hash, and only so", async () => {
  write("hot.yaml", HOT.replace("> 80", "> 90"));
  const shown = await cli("diff", files);
  assert.deepEqual(
    shown.stdout.split("\n").filter((line) => /^[-+][^-+]/.test(line)),
    [
      "-sql: SELECT * FROM 'telemetry/#' WHERE temperature > 80",
      "+sql: SELECT * FROM 'telemetry/#' WHERE temperature > 90",
    ],
  );
  write("hot.yaml", HOT);
  const other = await runCli(["diff", files, "--data", data], folder.path, { TOKEN_OF_HOOK: "other" });
  assert.equal(other.code, 1);
  const [removed, added] = other.stdout.split("\n").filter((line) => /^[-+] /.test(line));
  assert.match(`${removed} ${added}`, /^- +authorization: .*\*\*\*.* \+ +authorization: .*\*\*\*/);
  assert.notEqual(removed!.slice(1), added!.slice(1));
});

test("every fault is told at its file, line and column, and nothing is changed", async () => {
  const before = await rules();
  write("ok.yaml", "kind: rule\nsql: SELECT * FROM 'a'\nactions: []\n");
  write("cold.sql", COLD.replace("WHERE", "WHEER"));
  write("hot.yaml", HOT.replace("critical", "dreadful"));
  write("torn.yaml", "kind: rule\nsql: [\n");
  const torn = await cli("apply", files);
  assert.equal(torn.code, 2);
  assert.match(torn.stderr, /torn\.yaml:\d+:\d+: /);
  rmSync(join(files, "torn.yaml"));
  write("what.json", '{\n  "kind": "rulez", "sql": "SELECT 1"\n}\n');
  const wrong = await cli("apply", files);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /^cold\.sql:8:\d+: /m);
  assert.match(wrong.stderr, /^hot\.yaml:5:\d+: actions\[0\]\.alert\.severity: /m);
  assert.match(wrong.stderr, /^what\.json:2:\d+: .*did you mean rule\?/m);
  assert.equal((await cli("diff", files)).code, 2);
  assert.deepEqual(await rules(), before, "not even the good one");
  for (const name of ["ok.yaml", "what.json"]) rmSync(join(files, name));
  write("cold.sql", COLD);
  write("hot.yaml", HOT);
});

test("whoever comes second is told who changed what since his diff, also after a restart", async () => {
  write("hot.yaml", HOT.replace("> 80", "> 95"));
  const revision = /Revision (\S+)/.exec((await cli("diff", files)).stderr)![1]!;
  await platform.api("POST", "/rules/cold/disable");
  await platform.kill();
  platform = await PlatformProcess.start(data);
  const late = await cli("apply", files, "--revision", revision);
  assert.equal(late.code, 2);
  assert.match(late.stderr, /the platform's token at \S+: POST \/rules\/:ruleName\/disable cold/);
  assert.match(late.stderr, /CONFIGURATION_CHANGED/);
  const hot = await platform.api<{ rule: { sql: string } }>("GET", "/rules/hot");
  assert.match(hot.rule.sql, /> 80/);
  const again = await cli("apply", files);
  assert.match(again.stdout, /Done: 0 created, 2 updated/, again.stderr);
  const { entries } = await platform.api<{ entries: { action: string; target: string }[] }>(
    "GET",
    "/api/audit?action=rule.*",
  );
  assert.deepEqual(
    entries
      .slice(0, 2)
      .map(({ action, target }) => `${action} ${target}`)
      .sort(),
    ["rule.update cold", "rule.update hot"],
  );
});

test("prune deletes what no file has; pull leaves edited files alone and says so", async () => {
  await platform.api("POST", "/rules/stray", { sql: "SELECT * FROM 'a'", actions: [] });
  const kept = await cli("diff", files);
  assert.equal(kept.code, 0);
  assert.match(kept.stderr, /1 run that no file has .*rule stray/);
  assert.equal((await cli("diff", files, "--prune")).code, 1);
  const hesitant = await cli("apply", files, "--prune");
  assert.equal(hesitant.code, 2);
  assert.match(hesitant.stderr, /^Pruning means:\n {2}- rule stray is deleted: no file has it\n.*add --yes/ms);
  assert.ok((await rules()).includes("stray"));
  assert.match((await cli("apply", files, "--prune", "--yes")).stdout, /1 deleted/);
  assert.ok(!(await rules()).includes("stray"));
  assert.equal((await cli("apply", files, "--prune")).code, 0, "where nothing is lost, nobody is asked");
  write("hot.yaml", HOT);
  const pulled = await cli("pull", files);
  assert.equal(pulled.code, 1);
  assert.match(pulled.stderr, /hot\.yaml/);
  assert.equal(readFileSync(join(files, "hot.yaml"), "utf8"), HOT);
  const fresh = join(folder.path, "fresh");
  assert.equal((await cli("pull", fresh)).code, 0);
  assert.doesNotMatch(readFileSync(join(fresh, "rules", "hot.yaml"), "utf8"), /s3cret/);
  assert.equal((await cli("diff", fresh, "--prune")).code, 0, "what is hidden stands for what is there");
});

const ALERTS = `kind: alerts
contacts:
  - name: ops
    slack: { url: !env CHAT }
  - name: lead
    webhook: { url: "https://hooks.example/alerts" }
route: { contacts: [ops], groupWait: 10s, routes: [{ match: [severity=critical], contacts: [lead] }] }
zone: Europe/Berlin
`;

test("how people are told of alerts is a file: it holds at once and after a restart, and its secrets stay where they are", async () => {
  const route = async (): Promise<string[]> => {
    const probe = { rule: "hot", thing: "pi-1", severity: "critical" };
    const { groups } = await platform.api<{ groups: { contacts: string[] }[] }>("POST", "/api/alert-route", probe);
    return groups.flatMap(({ contacts }) => contacts);
  };
  assert.deepEqual(await route(), [], "nobody is told as it comes");
  write("alerts.yaml", ALERTS.replace("contacts: [lead]", "contacts: [leda]"));
  const wrong = await cli("apply", files);
  assert.match(
    wrong.stderr,
    /^alerts\.yaml:7:\d+: route\.routes\[0\]\.contacts\[0\]: there is no contact point named 'leda'/m,
  );
  write("alerts.yaml", ALERTS);
  assert.match((await cli("apply", files)).stdout, /1 created/);
  assert.deepEqual(await route(), ["lead"]);
  await platform.kill();
  for (const name of readdirSync(data).filter((file) => file.startsWith("rules.db")))
    assert.ok(!readFileSync(join(data, name)).includes("chat.example/s3cret"), "sealed on disk");
  platform = await PlatformProcess.start(data);
  assert.deepEqual(await route(), ["lead"]);
  assert.equal((await cli("diff", files)).code, 0);
  const fresh = join(folder.path, "fresh-alerts");
  assert.equal((await cli("pull", fresh)).code, 0);
  assert.doesNotMatch(readFileSync(join(fresh, "alerts", "alerts.yaml"), "utf8"), /s3cret/);
  assert.equal((await cli("diff", fresh, "--prune")).code, 0, "what is hidden stands for what is there");
  rmSync(join(files, "alerts.yaml"));
  assert.match((await cli("apply", files, "--prune", "--yes")).stdout, /1 deleted/);
  assert.deepEqual(await route(), [], "without a document the configuration file holds");
});

const POLICY = `kind: policy
Version: "2012-10-17"
Statement:
  - Effect: Allow
    Action: [iot:Connect]
    Resource: "arn:aws:iot:*:*:client/line-*"
`;

test("policies are files: their document is the default version; one that is in use is never pruned", async () => {
  const version = async (): Promise<string> =>
    (await platform.api<{ defaultVersionId: string }>("GET", "/policies/line.v1")).defaultVersionId;
  mkdirSync(join(files, "policies"), { recursive: true });
  write("policies/line.v1.yaml", POLICY.replace("iot:Connect", "iot:Conect"));
  const wrong = await cli("apply", files);
  assert.match(wrong.stderr, /^policies\/line\.v1\.yaml:5:\d+: Statement\[0\]\.Action: /m, wrong.stderr);
  write("policies/line.v1.yaml", POLICY);
  assert.match((await cli("apply", files)).stdout, /1 created/);
  assert.equal((await cli("diff", files)).code, 0);
  const first = await version();
  write("policies/line.v1.yaml", POLICY.replace("line-*", "belt-*"));
  assert.match((await cli("apply", files)).stdout, /1 updated/);
  assert.notEqual(await version(), first);
  await platform.api("PUT", "/api/policies/stray", {
    policyDocument: JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "iot:Connect", Resource: "*" }],
    }),
  });
  const pruned = await cli("apply", files, "--prune", "--yes");
  assert.match(pruned.stdout, /1 deleted/, pruned.stderr);
  rmSync(join(files, "policies"), { recursive: true });
  const spared = await cli("apply", files, "--prune", "--yes");
  assert.match(spared.stdout, /1 deleted/, "line.v1, which nobody has");
  assert.match(spared.stderr, /run that no file has \(are in use, and stay\): policy tidewire-default/, spared.stderr);
});

test("killed again and again while much is applied: all of it is there or nothing, and diff tells which", async () => {
  const documentsOf = (round: number): object[] => [
    ...Array.from({ length: 30 }, (_, n) => ({
      kind: "rule",
      name: `killed_${n}`,
      document: { description: `round ${round}`, sql: `SELECT ${round} AS n FROM 'killed/${n}'`, actions: [] },
    })),
    { kind: "schema", name: "killed", document: { topic: "killed/x", schema: { title: `round ${round}` } } },
    { kind: "alerts", name: "alerts", document: { route: {}, link: `https://tide.example/round ${round}` } },
    ...Array.from({ length: 10 }, (_, n) => ({
      kind: "policy",
      name: `killed-${n}`,
      document: {
        Version: "2012-10-17",
        Id: `round ${round}`,
        Statement: [{ Effect: "Allow", Action: "iot:Connect", Resource: "*" }],
      },
    })),
  ];
  const roundsThere = async (): Promise<string[]> => {
    const { documents } = await platform.api<{ documents: { name: string }[] }>("GET", "/api/configuration");
    const told = documents.filter(({ name }) => /^(?:killed|alerts$)/.test(name)).map((one) => JSON.stringify(one));
    return [...new Set(told.map((text) => /round(?: |%20)(\d+)/.exec(text)?.[1] ?? text))].sort();
  };
  const put = (round: number): Promise<unknown> =>
    platform.api("PUT", "/api/configuration", { documents: documentsOf(round) }, { "if-match": "*" });
  const changesTo = async (round: number): Promise<number> =>
    (await platform.api<{ changes: unknown[] }>("POST", "/api/configuration/plan", { documents: documentsOf(round) }))
      .changes.length;
  await put(0);
  for (const [i, delay] of [5, 12, 20, 35, 60].entries()) {
    const round = i + 1;
    const applied = put(round).then(
      () => "done",
      () => "killed",
    );
    await new Promise((resolve) => void setTimeout(resolve, delay));
    await platform.kill();
    const answer = await applied;
    platform = await PlatformProcess.start(data);
    const isNew = (await changesTo(round)) === 0;
    assert.deepEqual(await roundsThere(), [String(isNew ? round : round - 1)], `round ${round}: half of it is there`);
    if (answer === "done") assert.ok(isNew, "what was answered is kept");
    if (!isNew) await put(round);
    assert.equal(await changesTo(round), 0);
  }
});

test("who may change rules may not change what devices are allowed", async () => {
  const narrow = { name: "rules", permissions: ["rules:read", "rules:write"] };
  const { secret } = await platform.api<{ secret: string }>("POST", "/api/keys", narrow);
  mkdirSync(join(files, "policies"), { recursive: true });
  write("policies/line.yaml", POLICY);
  const refused = await cli("apply", files, "--token", secret);
  assert.match(refused.stderr, /it needs the permission policies:/);
  rmSync(join(files, "policies"), { recursive: true });
  write("hot.yaml", HOT.replace("> 80", "> 70"));
  assert.match((await cli("apply", files, "--token", secret)).stdout, /1 updated/);
  const { documents } = await platform.api<{ documents: { kind: string }[] }>("GET", "/api/configuration", undefined, {
    authorization: `Bearer ${secret}`,
  });
  assert.ok(documents.length > 0 && !documents.some(({ kind }) => kind === "policy"));
});
