import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { EXAMPLES } from "../../src/cli/examples.ts";
import { PlatformProcess, ROOT, runCli, temporaryFolder } from "./support/platform-process.ts";

const folder = temporaryFolder();
const data = join(folder.path, "data");
let platform: PlatformProcess;

/** A real platform with a real device: its own machine. */
before(async () => {
  mkdirSync(data);
  platform = await PlatformProcess.start(data, ["--first-device"]);
  for (;;) {
    const { stdout } = await query("SELECT count(*) AS n FROM telemetry", "--format", "ndjson");
    if (stdout !== "" && (JSON.parse(stdout) as { n: number }).n > 20) return;
  }
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

function query(...args: readonly string[]) {
  return runCli(["query", ...args, "--data", data], folder.path, { NO_COLOR: "1" });
}

function shell(line: string): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const script = line.replace("tidewire", `'${process.execPath}' '${join(ROOT, "src/main.ts")}'`);
  const env = { ...process.env, TIDEWIRE_URL: platform.ready.http, TIDEWIRE_TOKEN: platform.ready.adminToken };
  return new Promise((resolve) => {
    execFile("sh", ["-c", script], { cwd: folder.path, env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

test("every example of the help runs as it stands there", async () => {
  const help = (await query("--help")).stdout;
  const examples = EXAMPLES["query"]!;
  assert.equal(examples.length, 5);
  for (const example of examples) {
    assert.ok(help.includes(example), example);
    const { code, stderr } = await shell(example);
    assert.deepEqual([code, stderr], [0, ""], example);
  }
  assert.equal(readFileSync(join(folder.path, "hours.parquet")).toString("latin1", 0, 4), "PAR1");
});

test("a pipe gets NDJSON, --format table a table with its number of rows, --output the format of its name", async () => {
  const sql = "SELECT DISTINCT measurement, 1 AS one FROM series WHERE measurement = 'system'";
  assert.equal((await query(sql)).stdout, '{"measurement":"system","one":1}\n');
  const table = await query(sql, "--format", "table");
  assert.deepEqual(
    [table.stdout, table.stderr],
    ["measurement  one\n───────────  ───\nsystem         1\n", "(1 row)\n"],
  );
  assert.equal((await query(sql, "--output", "x.csv")).stdout, "");
  assert.equal(readFileSync(join(folder.path, "x.csv"), "utf8"), "measurement,one\r\nsystem,1\r\n");
  const few = await query("SELECT * FROM range(10)", "--format", "table", "--rows", "2");
  assert.match(few.stderr, /the first 2 rows; --rows N shows more/);
});

test("SQL from a file and from standard input, values by name and by position", async () => {
  writeFileSync(join(folder.path, "q.sql"), "SELECT $a || '!' AS a, $n::INTEGER + 1 AS n -- done\n");
  const named = await query("--file", "q.sql", "--param", "a=x=y", "--param", "$n=41");
  assert.equal(named.stdout, '{"a":"x=y!","n":42}\n');
  assert.equal(
    (await shell("echo 'SELECT ? AS a, ? AS b;' | tidewire query --param 2=b --param 1=a")).stdout,
    '{"a":"a","b":"b"}\n',
  );
});

test("refusals: their sentence, what to do, their code, an exit status; an answer that broke off leaves no file", async () => {
  const refused = async (code: number, error: string, says: RegExp, ...args: readonly string[]): Promise<void> => {
    const exit = await query(...args);
    assert.deepEqual([exit.code, exit.stdout], [code, ""], exit.stderr);
    assert.match(exit.stderr, says);
    assert.match(exit.stderr, new RegExp(`\\n {2}${error}\\n$`));
  };
  await refused(2, "QUERY_SQL_INVALID", /line 1, column 8: .*"tme" not found/, "SELECT tme FROM telemetry");
  await refused(2, "QUERY_NOT_ALLOWED", /line 1, column 6: .*'read_text'/, "FROM read_text('/etc/passwd')");
  await refused(
    1,
    "QUERY_TOO_SLOW",
    /longer than 0.5 s/,
    "SELECT count(*) FROM range(1000000000) a, range(1000000000) b",
    "--timeout",
    "500ms",
  );
  await refused(
    2,
    "COMMAND_LINE_INVALID",
    /--timeout.* 'soon' is invalid. It must be a duration/,
    "SELECT 1",
    "--timeout",
    "soon",
  );
  await refused(2, "CONFIG_VALUE_INVALID", /--file/, "SELECT 1", "--file", "q.sql");
  await refused(2, "CONFIG_VALUE_INVALID", /no such file/, "--file", "not-there.sql");
  await refused(
    5,
    "ANSWER_BROKEN_OFF",
    /broke off after \d+ bytes/,
    "SELECT * FROM range(100000000000)",
    "--timeout",
    "5s",
    "--output",
    "big.csv",
  );
  assert.ok(!readdirSync(folder.path).some((name) => name.startsWith("big.csv")));
  assert.ok(!existsSync(join(folder.path, "big.csv.part")));
});

test("a reader that has enough ends the query, and that is no error", async () => {
  const first = await shell("tidewire query 'SELECT * FROM range(100000000000)' --timeout 60s | head -1");
  assert.deepEqual([first.code, first.stdout, first.stderr], [0, '{"range":0}\n', ""]);
  for (;;) if (/^tidewire_query_running 0$/m.test(await metrics())) return;
});

test("Ctrl-C ends the query at the platform, too", async () => {
  const child = spawn(process.execPath, [
    join(ROOT, "src/main.ts"),
    "query",
    "SELECT count(*) FROM range(1000000000) a, range(1000000000) b",
    "--timeout",
    "5m",
    "--data",
    data,
  ]);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  while (!/^tidewire_query_running 1$/m.test(await metrics()));
  child.kill("SIGINT");
  await ended;
  while (!/^tidewire_query_running 0$/m.test(await metrics()));
});

test("--explain prints how; `tidewire plan` what a fleet needs, as text and as JSON, with prices of one's own", async () => {
  assert.match((await query("SELECT thing FROM series", "--explain")).stdout, /PROJECTION|READ_PARQUET/);
  const plan = await runCli(
    ["plan", "--sensors", "1M", "--every", "10s", "--raw", "1w", "--rollup", "1h:1y"],
    folder.path,
  );
  assert.equal(plan.code, 0, plan.stderr);
  assert.match(plan.stdout, /100,000 a second, 8\.64 billion a day/);
  writeFileSync(join(folder.path, "prices.json"), '{"date": "today", "machine": {"diskPerGbMonth": 0}}');
  const own = await runCli(["plan", "--sensors", "1M", "--prices", "prices.json", "--json"], folder.path);
  const { plan: made, prices } = JSON.parse(own.stdout) as {
    plan: { saving: { planned: { perMonth: number } } };
    prices: { date: string };
  };
  assert.deepEqual([made.saving.planned.perMonth, prices.date], [0, "today"]);
  writeFileSync(join(folder.path, "prices.json"), '{"machine": {"diskPerTbMonth": 0}}');
  const wrong = await runCli(["plan", "--sensors", "1M", "--prices", "prices.json"], folder.path);
  assert.deepEqual([wrong.code, wrong.stdout], [2, ""]);
  assert.match(wrong.stderr, /no price named 'machine\.diskPerTbMonth'/);
});

async function metrics(): Promise<string> {
  const response = await fetch(`${platform.ready.http}/metrics`, {
    headers: { authorization: `Bearer ${platform.ready.adminToken}` },
  });
  return response.text();
}

test("archived messages can be asked, and joined with what was stored of them", async () => {
  const folderOfArchive = join(data, "archive");
  assert.ok(existsSync(folderOfArchive));
  const described = await query("DESCRIBE events", "--format", "csv");
  assert.deepEqual([described.code, described.stderr], [0, ""]);
  const columns = described.stdout
    .split("\r\n")
    .slice(1, -1)
    .map((line) => line.split(",", 1)[0]);
  assert.deepEqual(columns.slice(0, 9), [
    "offset",
    "time",
    "topic",
    "thing",
    "client",
    "qos",
    "retain",
    "text",
    "payload",
  ]);
  const messages = await query("SELECT count(*) >= 0 AS fine FROM events WHERE time > now() - INTERVAL '1 day'");
  assert.equal(messages.stdout, '{"fine":true}\n');
});
