/** `postgres://user@host:5432/database?sslmode=…` as what it means, and as a name that may be shown. */
import { readFileSync } from "node:fs";
import { TidewireError, reasonOf } from "../../base/mod.ts";

export type TlsMode = "disable" | "require" | "verify-ca" | "verify-full";

/** Plain data: it travels to the process or thread that connects. */
export interface PostgresServerAddress {
  /** A name, an address, or the folder of a socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** Where our tables are; null: the default of whoever connects. */
  readonly schema: string | null;
  readonly tls: TlsMode;
  readonly caFile: string | null;
  readonly certificateFile: string | null;
  readonly keyFile: string | null;
  readonly passwordFile: string | null;
  /** Only from a configuration file. */
  readonly password: string | null;
}

const TLS_MODES: readonly TlsMode[] = ["disable", "require", "verify-ca", "verify-full"];
const PARAMETERS = ["host", "schema", "sslmode", "sslrootcert", "sslcert", "sslkey", "passwordfile"];
const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,40}$/;

/** Throws POSTGRES_URL_INVALID. Between machines TLS with a checked certificate is the default. */
export function parsePostgresUrl(text: string): PostgresServerAddress {
  const url = parsed(text);
  const given = url.searchParams;
  for (const name of given.keys()) {
    if (!PARAMETERS.includes(name))
      throw invalid(`'${name}' is no parameter of it; known are ${PARAMETERS.join(", ")}`);
  }
  const host = given.get("host") ?? decodeURIComponent(url.hostname.replace(/^\[(.*)\]$/, "$1"));
  if (host === "") throw invalid("it names no host, nor a socket's folder with ?host=/run/postgresql");
  const database = decodeURIComponent(url.pathname.slice(1));
  if (database === "" || url.username === "") throw invalid("it must name a user and a database");
  const schema = given.get("schema");
  if (schema !== null && !SCHEMA_NAME.test(schema)) {
    throw invalid("a schema is named with small letters, digits and underscores, at most 41");
  }
  const near = host.startsWith("/") || host === "localhost" || host === "::1" || host.startsWith("127.");
  const tls = TLS_MODES.find((mode) => mode === (given.get("sslmode") ?? (near ? "disable" : "verify-full")));
  if (tls === undefined) throw invalid(`'sslmode' must be one of ${TLS_MODES.join(", ")}`);
  return {
    host,
    port: url.port === "" ? 5432 : Number(url.port),
    user: decodeURIComponent(url.username),
    database,
    schema,
    tls,
    caFile: given.get("sslrootcert"),
    certificateFile: given.get("sslcert"),
    keyFile: given.get("sslkey"),
    passwordFile: given.get("passwordfile"),
    password: url.password === "" ? null : decodeURIComponent(url.password),
  };
}

/** For messages: without a password, whatever the URL held. */
export function nameOfServer({ host, port, user, database }: PostgresServerAddress): string {
  const where = host.startsWith("/") ? `${host}:${port}` : `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return `postgres://${user}@${where}/${database}`;
}

/** Read at each connection, so that a changed password needs no restart. Null: PGPASSWORD, ~/.pgpass, or none. */
export function passwordOf(address: PostgresServerAddress): string | null {
  if (address.passwordFile === null) return address.password;
  return readFileSync(address.passwordFile, "utf8").replace(/\r?\n$/, "");
}

function parsed(text: string): URL {
  if (!/^postgres(?:ql)?:\/\//.test(text)) throw invalid("it must begin with postgres://");
  try {
    // The WHATWG parser knows hosts only in schemes of its own list.
    return new URL(text.replace(/^postgres(?:ql)?:/, "http:"));
  } catch (error) {
    throw invalid(`it cannot be read (${reasonOf(error)})`);
  }
}

function invalid(reason: string): TidewireError {
  return new TidewireError("POSTGRES_URL_INVALID", { reason });
}
