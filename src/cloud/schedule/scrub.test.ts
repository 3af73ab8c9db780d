import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import type { ScrubReport } from "../../adapters/scrub/mod.ts";
import { PrometheusMetrics } from "../../adapters/metrics.ts";
import { days, hours, minutes } from "../../base/mod.ts";
import { ScheduledScrub } from "./scrub.ts";

const WHOLE: ScrubReport = { files: 9, bytes: 4_096, findings: [], more: 0, unverified: [] };
const FINDING = { file: "rules.db", place: "page 3", reason: "not as written", fix: "Restore a backup.", spare: false };

test("soon after the start, then once a day; a finding is told with its place until a later scrub finds all whole", async () => {
  const clock = new SimClock();
  const logger = new SimLogger();
  const metrics = new PrometheusMetrics();
  let report: ScrubReport | Error = WHOLE;
  let scrubs = 0;
  const one = new ScheduledScrub({
    every: days(1),
    scrub: async () => {
      scrubs++;
      if (report instanceof Error) throw report;
      return report;
    },
    clock,
    scheduler: clock,
    logger,
    metrics,
  });
  one.start();
  await clock.run(minutes(9));
  assert.equal(scrubs, 0);
  await clock.run(minutes(2));
  assert.equal(scrubs, 1);
  assert.deepEqual([one.damage, one.problem], [null, null]);
  report = { ...WHOLE, findings: [FINDING, { ...FINDING, file: "people.db" }], more: 4 };
  await clock.run(hours(23));
  assert.equal(scrubs, 1);
  await clock.run(hours(1));
  assert.equal(scrubs, 2);
  assert.match(one.damage!, /^rules\.db, page 3: not as written \(and 5 more; .*\)\. Restore a backup\.$/);
  const told = logger.lines.filter(({ level }) => level === "error");
  assert.deepEqual(
    told.map(({ fields }) => [fields["file"], fields["place"]]),
    [
      ["rules.db", "page 3"],
      ["people.db", "page 3"],
    ],
  );
  assert.match(await metrics.render(), /tidewire_scrub_findings 6/);
  report = { ...WHOLE, findings: [{ ...FINDING, file: "rules.db-pages", spare: true }] };
  await clock.run(days(1) + minutes(1));
  assert.equal(one.damage, null, "nothing is lost");
  assert.match(one.problem!, /^rules\.db-pages/);
  report = { ...WHOLE, findings: [FINDING] };
  await clock.run(days(1) + minutes(1));
  report = new Error("it was killed");
  await clock.run(days(1) + minutes(5));
  assert.match(one.problem!, /it was killed/);
  assert.match(one.damage!, /rules\.db/, "what was found is still so");
  report = WHOLE;
  await clock.run(hours(2));
  assert.deepEqual([one.damage, one.problem], [null, null]);
  await one.close();
});
