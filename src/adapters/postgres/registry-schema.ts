/** The tables of the registry and of the rest of identity. Names sort by their bytes, as everywhere else. */
import { POSTGRES_IDENTITY } from "../identity-sql/identity-schema.ts";
import {
  POSTGRES_DEVICE_PASSWORDS,
  POSTGRES_PASSWORD_USES,
  POSTGRES_REGISTRY,
  withTenants,
} from "../identity-sql/schema.ts";
import { LOGIN_FAILURES } from "./login-failures.ts";
import type { Migrations } from "./schema.ts";

/** Who listens here hears of every change. One per schema: several registries may share a database. */
export function channelOf(schema: string): string {
  return `${schema}_changed`;
}

const REGISTRY_1 = `
  CREATE TABLE state (format integer NOT NULL, revision bigint NOT NULL) WITH (fillfactor = 50);
  INSERT INTO state VALUES (1, 0);
  CREATE TABLE things (
    name text COLLATE "C" PRIMARY KEY, id text NOT NULL, type text COLLATE "C", attributes jsonb NOT NULL,
    version bigint NOT NULL, created_at bigint NOT NULL, updated_at bigint NOT NULL, searchable text COLLATE "C" NOT NULL
  );
  CREATE INDEX things_by_type ON things (type, name);
  CREATE INDEX things_by_attribute ON things USING gin (attributes);
  CREATE TABLE certificates (
    id text COLLATE "C" PRIMARY KEY, pem text NOT NULL, status text NOT NULL, serial text NOT NULL, subject text NOT NULL,
    issuer text NOT NULL, not_before bigint NOT NULL, not_after bigint NOT NULL, created_at bigint NOT NULL,
    updated_at bigint NOT NULL
  );
  CREATE INDEX certificates_by_creation ON certificates (created_at, id);
  CREATE TABLE policies (
    name text COLLATE "C" PRIMARY KEY, document text NOT NULL, version bigint NOT NULL,
    created_at bigint NOT NULL, updated_at bigint NOT NULL
  );
  CREATE TABLE thing_principals (
    thing text COLLATE "C" NOT NULL REFERENCES things (name) ON DELETE CASCADE,
    certificate text COLLATE "C" NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,
    exclusive boolean NOT NULL,
    PRIMARY KEY (thing, certificate)
  );
  CREATE INDEX thing_principals_by_certificate ON thing_principals (certificate, thing);
  CREATE TABLE policy_targets (
    policy text COLLATE "C" NOT NULL REFERENCES policies (name) ON DELETE RESTRICT,
    certificate text COLLATE "C" NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,
    PRIMARY KEY (policy, certificate)
  );
  CREATE INDEX policy_targets_by_certificate ON policy_targets (certificate, policy);
`;

const REGISTRY_2 = withTenants(POSTGRES_REGISTRY, {
  attributes: "attributes::text",
  eachAttribute: `SELECT each.key AS name, each.value AS value, things_before.name AS thing
    FROM things_before, jsonb_each_text(things_before.attributes) AS each`,
  exclusive: "exclusive::int",
});

export function registryMigrations(schema: string): Migrations {
  return {
    name: "registry",
    schema,
    steps: [
      REGISTRY_1,
      REGISTRY_2,
      POSTGRES_DEVICE_PASSWORDS,
      `${POSTGRES_IDENTITY}${LOGIN_FAILURES}`,
      POSTGRES_PASSWORD_USES,
    ],
  };
}
