/** The parts of the registry's store over one database. */
import type { RegistryStore } from "../../registry/mod.ts";
import { AuthorityTable, CertificateTable } from "./certificates.ts";
import { GroupTable } from "./groups.ts";
import { PasswordTable } from "./passwords.ts";
import { PolicyTable } from "./policies.ts";
import type { Sql } from "./sql.ts";
import { TagTable } from "./tags.ts";
import { ThingTypeTable } from "./thing-types.ts";
import { ThingTable } from "./things.ts";

export type RegistryTables = Omit<RegistryStore, "transaction" | "others">;

export function registryTables(sql: Sql): RegistryTables {
  return {
    things: new ThingTable(sql),
    types: new ThingTypeTable(sql),
    groups: new GroupTable(sql),
    certificates: new CertificateTable(sql),
    authorities: new AuthorityTable(sql),
    passwords: new PasswordTable(sql),
    policies: new PolicyTable(sql),
    tags: new TagTable(sql),
  };
}
