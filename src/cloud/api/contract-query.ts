/** The API's part for users' SQL; `contract.ts` lists the routes. */

/**
 * Read-only SQL; relations and functions: docs/reference/query.md. `parameters`: by position (`?`) or name (`$name`); bound,
 * never pasted. `timeout`: `30s`, `5m`. `rows`: of a JSON answer, at most. `explain`: the plan instead.
 */
export interface QueryRequest {
  readonly sql: string;
  readonly parameters?: readonly QueryParameter[] | Readonly<Record<string, QueryParameter>>;
  readonly format?: "json" | "ndjson" | "csv" | "parquet";
  readonly timeout?: string;
  readonly rows?: number;
  readonly explain?: boolean;
}

export type QueryParameter = string | number | boolean | null | readonly (string | number)[];

/**
 * Exact: integers beyond 2^53, decimals beyond 15 digits, NaN and infinities are strings; points in time are ISO 8601 in UTC;
 * lists, structs and maps are JSON.
 */
export interface QueryResult {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly unknown[])[];
  readonly rowCount: number;
  /** There were more rows than `rows` allows. */
  readonly truncated: boolean;
  /** Files that should have been read are damaged; the answer lacks their points. */
  readonly incomplete: boolean;
}
