import assert from "node:assert/strict";
import { after, test } from "node:test";
import { temporaryFolder } from "./support/platform-process.ts";
import { ledgerLines, runStorm } from "./support/storm.ts";

/** The short version of `npm run storm`. */
const KILLS = 3;
const folder = temporaryFolder();
after(() => folder.remove());

test(`20 receivers, 10 of them failing in 10 ways, the platform killed ${KILLS} times: every event is at every receiver, and no healthy one waits for an ill one`, async (t) => {
  const report = await runStorm({ folder: folder.path, kills: KILLS, seed: 3, say: (line) => t.diagnostic(line) });
  for (const line of ledgerLines(report)) t.diagnostic(line);
  assert.deepEqual(report.wrong, []);
  assert.equal(report.receivers.length, 20);
  assert.ok(report.acknowledged > 50, `${report.acknowledged} were acknowledged`);
  for (const { name, taken } of report.receivers) assert.ok(taken >= report.acknowledged, `${name} has ${taken}`);
  assert.equal(report.undelayed, report.acknowledged, "the healthy had everything while the ill took nothing");
  assert.ok(report.held > 0, "meanwhile ill ones held exchanges that they never answered");
  assert.ok(
    report.receivers.some(({ died }) => died > 0),
    "one refused for good",
  );
});
