/** Campaigns and benchmarks run for minutes to hours: a slip of the keyboard is told before that, and in a sentence. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

const CAMPAIGNS = ["crashes", "damage", "fuzz", "kill", "storm"].map((name) => `tools/${name}.ts`);
const BENCHMARKS = [
  "bench/run.ts",
  ...["broker", "identity", "rules", "storage"].map((room) => `bench/${room}/run.ts`),
];

function run(program: string, ...options: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...options], { encoding: "utf8" });
  return { status, stdout, stderr };
}

for (const program of [...CAMPAIGNS, ...BENCHMARKS, "sim/run.ts"]) {
  test(`${program} says what it takes, and what is wrong with what it got`, () => {
    const help = run(program, "--help");
    assert.equal(help.status, 0, help.stderr);
    assert.match(help.stdout, /^usage: npm run \S+ -- .*\[--\w+ \d+\]/);

    const option = /\[--(\w+) \d+\]/.exec(help.stdout)![1]!;
    for (const [given, told] of [
      [["--no-such"], /^Unknown option '--no-such'\nusage: /],
      [["no-such"], /^“no-such” is not known here\nusage: /],
      [[`--${option}`, "1.5"], new RegExp(`^--${option} is a whole number from \\d on, not “1.5”\nusage: `)],
    ] as const) {
      const refused = run(program, ...given);
      assert.equal(refused.status, 2);
      assert.match(refused.stderr, told);
      assert.equal(refused.stdout, "");
    }
  });
}

test("a campaign that would do nothing is refused: it could find nothing", () => {
  const nothing = [
    ["tools/kill.ts", "kills"],
    ["tools/damage.ts", "count"],
    ["tools/fuzz.ts", "seconds"],
    ["sim/run.ts", "count"],
    ["bench/rules/run.ts", "runs"],
  ] as const;
  for (const [program, option] of nothing) {
    const { status, stderr } = run(program, `--${option}`, "0");
    assert.equal(status, 2);
    assert.match(stderr, new RegExp(`^--${option} is a whole number from 1 on, not “0”`));
  }
});

test("a campaign with options runs with them", () => {
  const { status, stdout } = run("sim/run.ts", "broker", "--seed", "3", "--count", "2");
  assert.equal(status, 0);
  assert.match(stdout, /^2 seeds in /);
});
