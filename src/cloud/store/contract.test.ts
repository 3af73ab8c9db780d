/** The API's contract and the store's own types say the same; a difference does not compile. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type * as contract from "../api/contract.ts";
import type * as telemetry from "../../telemetry/mod.ts";

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

test("shapes of the API are the shapes of the store", () => {
  const same: readonly true[] = [
    true satisfies Same<contract.SeriesResult, telemetry.SeriesResult>,
    true satisfies Same<contract.Series, telemetry.Series>,
    true satisfies Same<contract.SeriesOfResult, telemetry.SeriesOfResult>,
    true satisfies Same<contract.Level, telemetry.Level>,
    true satisfies Same<contract.LatestValues, telemetry.LatestValues>,
    true satisfies Same<contract.Aggregate, telemetry.Aggregate>,
    true satisfies Same<contract.FieldValue, telemetry.FieldValue>,
  ];
  assert.equal(same.length, 7);
});
