/** A rule moves between two real platforms in mid-window, there and back, while messages come to both and one of them dies. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

const folders = [temporaryFolder(), temporaryFolder()] as const;
const SQL =
  "SELECT topic(2) AS d, first(x) AS f, sum(x) AS s, last(x) AS l, count(*) AS n FROM 'a/+' GROUP BY topic(2), COUNT(9)";
/** What the receiver was told, by rule; what comes twice has the same id, and is taken once. */
const told = new Map<string, Map<string, string>>();
const receiver = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk: Buffer) => (body += chunk.toString()));
  request.on("end", () => {
    const rule = told.get(request.url!) ?? new Map<string, string>();
    told.set(request.url!, rule.set(String(request.headers["webhook-id"]), body));
    response.end();
  });
});
let url: string;
let platforms: [PlatformProcess, PlatformProcess];
let sender: Sender | null = null;

before(async () => {
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  url = `http://127.0.0.1:${(receiver.address() as { port: number }).port}`;
  platforms = [await PlatformProcess.start(folders[0].path), await PlatformProcess.start(folders[1].path)];
});

after(async () => {
  await sender?.end();
  for (const platform of platforms ?? []) await platform.stop();
  receiver.closeAllConnections();
  receiver.close();
  for (const folder of folders) folder.remove();
});

/** Hands the same messages to both, in order, each until it is taken. */
class Sender {
  readonly #messages: { readonly topic: string; readonly body: string }[] = [];
  #over = false;
  #held: Promise<void> | null = null;
  #idle: () => void = () => {};
  readonly #sending = [this.#feed(0), this.#feed(1)];
  readonly #beat = setInterval(() => {
    const ts = Date.now();
    const n = this.#messages.length;
    this.#messages.push({ topic: `a/${n % 3}`, body: JSON.stringify({ x: n, ts }) });
  }, 40);

  async #feed(index: 0 | 1): Promise<void> {
    for (let n = 0; !this.#over || n < this.#messages.length;) {
      if (index === 1 && this.#held !== null) {
        this.#idle();
        await this.#held;
      }
      const message = this.#messages[n];
      if (message === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        continue;
      }
      const { ready } = platforms[index];
      const headers = { authorization: `Bearer ${ready.adminToken}`, "content-type": "application/octet-stream" };
      const answer = await fetch(`${ready.http}/topics/${message.topic}?qos=1`, {
        method: "POST",
        headers,
        body: message.body,
      }).catch(() => null);
      if (answer?.ok === true) n++;
      else {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /**
   * Nothing is under way to the second platform while `work` runs: what was taken and not answered would be sent again, as any
   * at-least-once sender does, and counted twice there.
   */
  async holding(work: () => Promise<void>): Promise<void> {
    let release: () => void = () => {};
    const idle = new Promise<void>((resolve) => (this.#idle = resolve));
    this.#held = new Promise<void>((resolve) => (release = resolve));
    await idle;
    await work();
    this.#held = null;
    release();
  }

  async end(): Promise<number> {
    clearInterval(this.#beat);
    this.#over = true;
    await Promise.all(this.#sending);
    return this.#messages.length;
  }
}

const seconds = (count: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, count * 1000));

async function cli(index: 0 | 1, args: readonly string[], code = 0): Promise<string> {
  const folder = folders[index].path;
  const { ready } = platforms[index];
  const env = { TIDEWIRE_URL: ready.http, TIDEWIRE_TOKEN: ready.adminToken };
  const done = await runCli(["rules", ...args], folder, env);
  assert.equal(done.code, code, done.stderr);
  return done.stderr;
}

async function running(): Promise<boolean[]> {
  const on = async (platform: PlatformProcess): Promise<boolean> => {
    const { rules } = await platform.api<{ rules: { ruleName: string; ruleDisabled: boolean }[] }>("GET", "/rules");
    return rules.some(({ ruleName, ruleDisabled }) => ruleName === "moving" && !ruleDisabled);
  };
  return [await on(platforms[0]), await on(platforms[1])];
}

test("a rule moves in mid-window, is refused, killed, and comes back: its windows are those of one that stayed", async () => {
  const [source, target] = platforms;
  for (const name of ["moving", "still"]) {
    const actions = [{ webhook: { url: `${url}/${name}` } }];
    await source.api("POST", `/rules/${name}`, { sql: SQL, actions });
  }
  sender = new Sender();
  await seconds(4);
  const inTheClear = await cli(0, ["move", "moving", "--to", "http://192.0.2.1:8080", "--to-token", "x"], 2);
  assert.match(inTheClear, /in the clear.*https:/);
  assert.deepEqual(await running(), [true, false]);
  const refused = await cli(0, ["move", "moving", "--to", target.ready.http, "--to-token", "twt_wrong"], 4);
  assert.match(refused, /goes on here/);
  assert.deepEqual(await running(), [true, false]);
  await cli(0, ["move", "moving", "--to", target.ready.http, "--to-token", target.ready.adminToken]);
  assert.deepEqual(await running(), [false, true]);

  const again = [...target.samePorts()];
  await sender.holding(async () => {
    await target.kill();
    platforms[1] = await PlatformProcess.start(folders[1].path, again);
  });
  assert.deepEqual(await running(), [false, true]);
  const file = join(folders[1].path, "moving.rule");
  await cli(1, ["export", "moving", "--with-state", file]);
  assert.deepEqual(await running(), [false, false]);
  await seconds(1);
  await cli(0, ["import", file]);
  await cli(1, ["move", "moving", "--done"]);
  assert.deepEqual(await running(), [true, false]);

  await seconds(2);
  const count = await sender.end();
  const wholes = [0, 1, 2].reduce((all, d) => all + Math.floor(Math.ceil((count - d) / 3) / 9), 0);
  const has = (rule: string): number => told.get(rule)?.size ?? 0;
  await until("all windows are told", async () => has("/still") === wholes && has("/moving") >= wholes, 600);
  const values = (rule: string): string[] => [...told.get(rule)!.values()].sort();
  assert.deepEqual(values("/moving"), values("/still"));
});
