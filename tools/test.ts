/**
 * `npm test`: every check there is, in order of cost, each in a process of its own. Prints what was left out on this
 * machine and why; in CI anything left out is a failure.
 */
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";

interface Step {
  readonly name: string;
  /** Before the other one. */
  readonly first?: readonly string[];
  readonly command: readonly string[];
}

function check(name: string, ...command: readonly string[]): Step {
  return { name, command };
}

/** While one waits, for a disk, a time-out, a process of its own, another has its core (measured: a quarter less time). */
const PROCESSES = cpus().length + 1;

/** Each file in a process of its own: one that holds hundreds spends its time collecting what is left of them. */
function tests(name: string, pattern: string, processes: number = PROCESSES): Step {
  const files = globSync(pattern).sort((a, b) => a.localeCompare(b));
  const options = ["--test-reporter=./tools/test-reporter.ts", `--test-timeout=${TEST_SECONDS_MAX * 1000}`];
  const preload = ["--import", "./tools/untracked-promises.mjs"];
  return check(name, "node", ...preload, "--test", ...options, `--test-concurrency=${processes}`, ...files);
}

/** The slowest test, or file with a process of its own, takes a minute; one that takes this long hangs, and is named. */
const TEST_SECONDS_MAX = 240;

const STEPS: readonly Step[] = [
  check("format", "oxfmt", "--check", "."),
  check("lint", "oxlint", "--type-aware", "src", "sim", "test", "tools", "bench"),
  check("types", "tsc", "-p", "."),
  check("types of the dashboard", "tsc", "-p", "src/web"),
  check("unused code and packages", "knip", "--no-progress"),
  tests("house rules", "test/house/**/*.test.ts", 1), // they read the tree, and one writes into it for a moment
  tests("unit", "src/**/*.test.ts"),
  tests("conformance and simulation", "{test/conformance,sim}/**/*.test.ts"),
  tests("scenarios", "test/scenarios/**/*.test.ts", PROCESSES + 1), // they start processes, and wait for them
  {
    ...tests("browser", "test/browser/**/*.test.ts"),
    first: ["vite", "build", "src/web", "--logLevel", "warn"],
  },
];

const ENVIRONMENT = {
  // Compiled code is kept between test processes, which are many; why it pays: docs/decisions/0002-types-stripped-once.md.
  NODE_COMPILE_CACHE: join(import.meta.dirname, "../.cache/compile"),
  // Once for all files, before the browser's step.
  TIDEWIRE_DASHBOARD: "built",
  ...process.env,
};

/** The slowest step takes three minutes on two quiet cores; one that takes this long hangs. */
const STEP_MINUTES_MAX = 15;

interface Tally {
  passed: number;
  failed: number;
  skipped: string[];
}

const only = process.argv.slice(2);
const steps = only.length === 0 ? STEPS : STEPS.filter((step) => only.includes(step.name));
if (steps.length === 0) {
  process.stderr.write(`No such step. Steps: ${STEPS.map((step) => step.name).join(", ")}\n`);
  process.exit(2);
}

const total: Tally = { passed: 0, failed: 0, skipped: [] };
for (const step of steps) await runStep(step);

const inCi = process.env["CI"] === "true";
for (const line of total.skipped) process.stdout.write(`left out: ${line}\n`);
if (inCi && total.skipped.length > 0) {
  process.stdout.write("In CI nothing may be left out.\n");
  total.failed += total.skipped.length;
}
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed\n`);
process.exit(total.failed === 0 ? 0 : 1);

async function runStep(step: Step): Promise<void> {
  const started = performance.now();
  const prepared = step.first === undefined ? null : await run(step.first);
  const { code, output } = prepared !== null && prepared.code !== 0 ? prepared : await run(step.command);
  const took = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  const isTestRun = step.command.includes("--test");
  const counted = countTests(output);
  const ok = code === 0 && !(isTestRun && counted.passed === 0);
  const passed = isTestRun ? counted.passed : Number(ok);
  const failed = isTestRun ? Math.max(counted.failed, Number(!ok)) : Number(!ok);
  total.skipped.push(...counted.skipped);
  total.passed += passed;
  total.failed += failed;
  process.stdout.write(
    `${failed === 0 ? "ok  " : "FAIL"}  ${step.name} (${took}${isTestRun ? `, ${passed} tests` : ""})\n`,
  );
  if (failed > 0) process.stdout.write(`${output}\n`);
}

function run(command: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(command[0]!, command.slice(1), {
      stdio: ["ignore", "pipe", "pipe"],
      env: ENVIRONMENT,
      detached: true, // a group of its own, so that a step that hangs ends with all that it started
    });
    let output = "";
    const deadline = setTimeout(() => {
      output += `\nended after ${STEP_MINUTES_MAX} minutes: something did not come to its end\n`;
      process.kill(-child.pid!, "SIGKILL");
    }, STEP_MINUTES_MAX * 60_000);
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.on("error", (error) => (output += error.message));
    child.on("close", (code) => {
      clearTimeout(deadline);
      resolve({ code: code ?? 1, output });
    });
  });
}

/** Reads the closing lines of `test-reporter.ts`. */
function countTests(output: string): Tally {
  const number = (pattern: RegExp): number => Number(pattern.exec(output)?.[1] ?? 0);
  return {
    passed: number(/^# passed (\d+)$/m),
    failed: number(/^# failed (\d+)$/m),
    skipped: [...output.matchAll(/^# left out (.+)$/gm)].map((match) => match[1]!),
  };
}
