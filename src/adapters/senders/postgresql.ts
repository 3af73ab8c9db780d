/** PostgreSQL: a batch in one INSERT; where the database refuses it, row by row, so that one bad row stops no other. */
import type pg from "pg";
import { DONE, dead, forAll, targetFails } from "../../rules/mod.ts";
import type { Parcel, Receiver, Sender, Verdict } from "../../rules/mod.ts";
import { Link } from "./link.ts";
import { guarded, settingsOf } from "./server-settings.ts";
import type { ServerPorts } from "./server-settings.ts";

interface TableSettings {
  readonly table: string;
  readonly columns: readonly string[];
  readonly key: string | null;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** Data exceptions and violated constraints: the row is at fault. */
const ROW_FAULT = /^2[23]/;
/** The protocol counts parameters in 16 bits. */
const PARAMETERS_MAX = 65_535;

export function postgresqlSender(receiver: Receiver, ports: ServerPorts): Sender {
  const settings = receiver.settings as unknown as TableSettings;
  const link: Link<pg.Client> = new Link({
    open: () => connect(receiver, ports, () => link.lost()),
    // `end` waits for what is on the way, which may hang.
    drop: (client) =>
      (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy(),
  });
  return {
    send: (batch, timeout) => link.carry(batch, timeout, (client) => insertAll(client, settings, batch)),
    close: () => link.close(),
  };
}

async function insertAll(client: pg.Client, settings: TableSettings, batch: readonly Parcel[]): Promise<Verdict[]> {
  const perStatement = Math.floor(PARAMETERS_MAX / (settings.columns.length + 1));
  if (batch.length > perStatement) {
    const first = await insertAll(client, settings, batch.slice(0, perStatement));
    return [...first, ...(await insertAll(client, settings, batch.slice(perStatement)))];
  }
  try {
    await insert(client, settings, batch);
    return forAll(batch, DONE);
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string };
    // Without a code of the server's, the connection is at fault.
    if (typeof code !== "string" || !/^[0-9A-Z]{5}$/.test(code)) throw error;
    if (!ROW_FAULT.test(code)) return forAll(batch, targetFails(`${message} (${code})`));
    if (batch.length === 1) return [dead(`${message} (${code})`)];
    const half = batch.length >> 1;
    const first = await insertAll(client, settings, batch.slice(0, half));
    return [...first, ...(await insertAll(client, settings, batch.slice(half)))];
  }
}

async function insert(
  client: pg.Client,
  { table, columns, key }: TableSettings,
  batch: readonly Parcel[],
): Promise<void> {
  const names = key === null ? columns : [...columns, key];
  const values: (string | null)[] = [];
  const rows = batch.map(({ id, body }) => {
    const row = JSON.parse(Buffer.from(body).toString("utf8")) as (string | null)[];
    const all = key === null ? row : [...row, id];
    return `(${all.map((value) => `$${values.push(value)}`).join(", ")})`;
  });
  const conflict = key === null ? "" : ` ON CONFLICT (${quoted(key)}) DO NOTHING`;
  const into = table.split(".").map(quoted).join(".");
  const statement = `INSERT INTO ${into} (${names.map(quoted).join(", ")}) VALUES ${rows.join(", ")}${conflict}`;
  await client.query(statement, values);
}

export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

async function connect(receiver: Receiver, ports: ServerPorts, lost: () => void): Promise<pg.Client> {
  const settings = settingsOf(receiver);
  const { tls, user, password, path } = settings;
  const [{ default: driver }, { address, port, trust }] = await Promise.all([import("pg"), guarded(ports, settings)]);
  const client = new driver.Client({
    host: address,
    port,
    database: path === "" ? (user ?? "postgres") : path,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ssl: tls ? { ...trust } : false,
    application_name: "tidewire rules",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  });
  client.on("error", lost);
  client.on("end", lost);
  await client.connect();
  return client;
}
