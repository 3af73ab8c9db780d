/** AWS IoT's versions of its SQL (`awsIotSqlVersion`). What differs between them is named here, and nowhere else. */

export const SQL_VERSIONS = ["2015-10-08", "2016-03-23", "beta"] as const;
export type SqlVersion = (typeof SQL_VERSIONS)[number];

export const DEFAULT_SQL_VERSION: SqlVersion = "2016-03-23";

/** The first engine: no JSON literals, no nested or VALUE SELECT, fewer functions and casts, and 10.0 is not 10. */
export function isFirstVersion(version: SqlVersion): boolean {
  return version === "2015-10-08";
}
