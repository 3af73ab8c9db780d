/** The normative statements of both versions of MQTT, as data. What satisfies and proves them: `mqtt-claims.ts`. */
import { STATEMENTS_311 } from "./mqtt-statements-311.ts";
import { STATEMENTS_5 } from "./mqtt-statements-5.ts";

/** Whom a statement binds. */
export type Party = "server" | "client" | "both";

export type StatementRow = readonly [number: string, binds: Party, says: string, more?: StatementMore];

export interface StatementMore {
  /** Statements of 5.0 that the same code satisfies, so that it names one of the two. The proof is of each version. */
  readonly same?: readonly string[];
  /** Why nothing here can satisfy or violate it. */
  readonly exempt?: string;
}

export interface Statement extends StatementMore {
  /** As it stands in code and tests, without the brackets: `MQTT-3.1.2-4`, of 3.1.1 `MQTT311-3.1.2-6`. */
  readonly id: string;
  readonly binds: Party;
  readonly says: string;
}

function statements(prefix: string, rows: readonly StatementRow[]): readonly Statement[] {
  return rows.map(([number, binds, says, { same, exempt } = {}]) => ({
    id: `${prefix}-${number}`,
    binds,
    says,
    ...(same === undefined ? {} : { same: same.map((other) => `MQTT-${other}`) }),
    ...(exempt === undefined ? {} : { exempt }),
  }));
}

export const SPECIFICATIONS: readonly { readonly title: string; readonly statements: readonly Statement[] }[] = [
  { title: "MQTT 5.0", statements: statements("MQTT", STATEMENTS_5) },
  { title: "MQTT 3.1.1", statements: statements("MQTT311", STATEMENTS_311) },
];
