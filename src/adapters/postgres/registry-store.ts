/** The registry and the rest of identity in one PostgreSQL database, over one connection. */
import type { Logger } from "../../base/mod.ts";
import { OF_DEVICES, OF_PEOPLE } from "../../people/mod.ts";
import type { OtherWriters, RegistryStore } from "../../registry/mod.ts";
import { PeopleTable } from "../identity-sql/people.ts";
import { ProvisioningTable } from "../identity-sql/provisioning.ts";
import type { Database } from "../identity-sql/sql.ts";
import { SuccessionTable } from "../identity-sql/successions.ts";
import { registryTables } from "../identity-sql/tables.ts";
import type { RegistryTables } from "../identity-sql/tables.ts";
import { PostgresDatabase } from "./identity-database.ts";
import { PostgresJoinFailures, PostgresLoginFailures } from "./login-failures.ts";
import type { PostgresServerAddress } from "./server-url.ts";

export class PostgresRegistryStore implements RegistryStore {
  readonly things: RegistryTables["things"];
  readonly types: RegistryTables["types"];
  readonly groups: RegistryTables["groups"];
  readonly certificates: RegistryTables["certificates"];
  readonly authorities: RegistryTables["authorities"];
  readonly passwords: RegistryTables["passwords"];
  readonly policies: RegistryTables["policies"];
  readonly tags: RegistryTables["tags"];
  readonly people: PeopleTable;
  readonly attempts: PostgresLoginFailures;
  readonly deviceAttempts: PostgresLoginFailures;
  readonly joinFailures: PostgresJoinFailures;
  readonly provisioning: ProvisioningTable;
  readonly successions: SuccessionTable;
  readonly #database: PostgresDatabase;

  private constructor(database: PostgresDatabase) {
    this.#database = database;
    const tables = registryTables(database);
    this.things = tables.things;
    this.types = tables.types;
    this.groups = tables.groups;
    this.certificates = tables.certificates;
    this.authorities = tables.authorities;
    this.passwords = tables.passwords;
    this.policies = tables.policies;
    this.tags = tables.tags;
    this.people = new PeopleTable(database, database.part("people"));
    this.attempts = new PostgresLoginFailures(database, OF_PEOPLE, "");
    this.deviceAttempts = new PostgresLoginFailures(database, OF_DEVICES, "device ");
    this.joinFailures = new PostgresJoinFailures(database);
    this.provisioning = new ProvisioningTable(database, database.locks);
    this.successions = new SuccessionTable(database, database.part("successions"));
  }

  /** Throws DATABASE_UNREACHABLE, DATABASE_NEWER. */
  static async open(address: PostgresServerAddress, logger: Logger, tenant?: string): Promise<PostgresRegistryStore> {
    return new PostgresRegistryStore(await PostgresDatabase.open(address, logger, tenant));
  }

  /** Why it cannot be asked now; null where it can. */
  get away(): string | null {
    return this.#database.away;
  }

  /** For copying. */
  get sql(): Database {
    return this.#database;
  }

  get others(): OtherWriters {
    return this.#database;
  }

  transaction<T>(work: () => T): T {
    return this.#database.transaction(work);
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}
