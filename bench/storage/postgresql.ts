/** PostgreSQL from Debian with its defaults: one table as wide as a reading, an index by device and time, loaded by COPY. */
import { execFileSync } from "node:child_process";
import { chown, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { freePort } from "../free-port.ts";
import { SERVER_CORE, pause, start, stop } from "../processes.ts";
import type { DataSet } from "./dataset.ts";
import { WINDOW, answerOf } from "./store.ts";
import type { Answer, Store } from "./store.ts";

const PROGRAMS = "/usr/lib/postgresql";
const ROWS_AT_ONCE = 5_000;

export async function startPostgres(folder: string): Promise<Store> {
  const [version] = (await readdir(PROGRAMS)).toSorted().reverse();
  const programs = join(PROGRAMS, version!, "bin");
  const port = await freePort();
  const data = join(folder, "postgresql");
  await mkdir(data);
  const [uid, gid] = ["-u", "-g"].map((flag) => Number(execFileSync("id", [flag, "postgres"]).toString()));
  await chown(data, uid!, gid!);
  await chown(folder, uid!, gid!);
  const asUser = ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"] as const;
  const [program, ...rights] = asUser;
  const made = [...rights, join(programs, "initdb"), "-D", data, "-A", "trust", "-U", "bench"];
  execFileSync(program, made, { stdio: "pipe", cwd: folder });
  const own = ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", data];
  const child = start([...asUser, join(programs, "postgres"), ...own], {
    core: SERVER_CORE,
    stdout: "ignore",
    stderr: "ignore",
    cwd: folder,
  });
  const client = await connected(port);
  const values = async (sql: string): Promise<Answer> => {
    const { rows } = await client.query<number[]>({ text: sql, rowMode: "array" });
    return answerOf(rows.flat().map(Number));
  };
  const within = ({ from, to }: DataSet): string =>
    `time >= to_timestamp(${from / 1000}) AND time < to_timestamp(${to / 1000})`;
  return {
    name: "postgresql",
    durability: "on disk (fsync per COPY of 5,000 rows)",
    process: child,
    async prepare(dataSet) {
      const columns = dataSet.fields.map((field) => `${field} double precision`).join(", ");
      await client.query(
        `CREATE TABLE ${dataSet.measurement} (time timestamptz NOT NULL, device text NOT NULL, ${columns})`,
      );
      await client.query(`CREATE INDEX ON ${dataSet.measurement} (device, time)`);
      const parts = [...rowsOf(dataSet)];
      return async () => {
        for (const part of parts) {
          const stream = client.query(copyFrom(`COPY ${dataSet.measurement} FROM STDIN`));
          stream.end(part);
          await finished(stream);
        }
      };
    },
    visible: () => Promise.resolve(), // at once
    async settle() {
      await client.query("VACUUM ANALYZE");
      await client.query("CHECKPOINT");
    },
    bytes: () => {
      const sizes = execFileSync("psql", [
        "-h",
        "127.0.0.1",
        "-p",
        String(port),
        "-U",
        "bench",
        "-d",
        "postgres",
        "-Atc",
        "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public' AND relkind = 'r'",
      ]);
      return Number(sizes.toString());
    },
    averages: (set, device, field) =>
      values(
        `SELECT avg(${field}) FROM ${set.measurement} WHERE device = '${device}' AND ${within(set)} GROUP BY date_bin('${WINDOW} ms', time, 'epoch')`,
      ),
    byDevice: (set) =>
      values(
        `SELECT ${set.fields.map((field) => `avg(${field})`).join(", ")} FROM ${set.measurement} WHERE ${within(set)} GROUP BY device`,
      ),
    drawn: (set, device, field, pixels) =>
      values(
        `SELECT min(${field}), max(${field}) FROM ${set.measurement} WHERE device = '${device}' AND ${within(set)} GROUP BY date_bin('${Math.ceil((set.to - set.from) / pixels)} ms', time, to_timestamp(${set.from / 1000}))`,
      ),
    async stop() {
      await client.end();
      child.kill("SIGINT"); // "fast": SIGTERM waits for clients
      await stop(child);
    },
  };
}

async function connected(port: number): Promise<Client> {
  for (let attempt = 0; ; attempt++) {
    const client = new Client({ host: "127.0.0.1", port, user: "bench", database: "postgres" });
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (attempt === 200) throw error;
      await pause(50);
    }
  }
}

function* rowsOf({ readings }: DataSet): Generator<string> {
  let rows: string[] = [];
  for (const { device, time, values } of readings()) {
    rows.push(`${new Date(time).toISOString()}\t${device}\t${values.join("\t")}\n`);
    if (rows.length < ROWS_AT_ONCE) continue;
    yield rows.join("");
    rows = [];
  }
  if (rows.length > 0) yield rows.join("");
}
