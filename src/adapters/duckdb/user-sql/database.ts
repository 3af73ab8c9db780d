/** The database that a user's query runs in: empty, in memory, and closed to everything but the files of one folder. */
import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import { quoted } from "../layout.ts";
import { viewStatement } from "./views.ts";
import type { UserView } from "./views.ts";

export interface UserDatabaseLimits {
  readonly queryMemoryBytesMax: number;
  readonly querySpillBytesMax: number;
}

export interface UserDatabase {
  readonly instance: DuckDBInstance;
  readonly connection: DuckDBConnection;
}

export async function openUserDatabase(limits: UserDatabaseLimits): Promise<UserDatabase> {
  const instance = await DuckDBInstance.create(":memory:", {
    threads: "1",
    memory_limit: `${Math.floor(limits.queryMemoryBytesMax / 1024)}KiB`,
    temp_directory: "",
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    allow_community_extensions: "false",
    allow_unsigned_extensions: "false",
    allow_persistent_secrets: "false",
  });
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  return { instance, connection };
}

/** From here on nothing but the files of `folder` can be reached, and no setting can be changed. Not to be undone. */
export async function confine(
  connection: DuckDBConnection,
  folder: string,
  views: readonly UserView[],
  limits: UserDatabaseLimits,
): Promise<void> {
  await connection.run(`SET temp_directory = ${quoted(`${folder}/spill`)}`);
  // Given when the database was opened it would be forgotten by the line above, though the setting still shows it.
  await connection.run(`SET max_temp_directory_size = '${Math.floor(limits.querySpillBytesMax / 1024)}KiB'`);
  await connection.run(`SET allowed_directories = [${quoted(`${folder}/`)}]`);
  await connection.run("SET enable_external_access = false");
  for (const view of views) await connection.run(viewStatement(view, folder));
  await connection.run("SET lock_configuration = true");
}
