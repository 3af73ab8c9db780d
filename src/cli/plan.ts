/** `tidewire plan`: what a fleet of so many sensors needs, before anything is bought. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { TidewireError, isJsonObject, reasonOf } from "../base/mod.ts";
import { LIST_PRICES, MEASURED, compact, planOf, planRequestOf, shownBytes } from "../telemetry/mod.ts";
import type { Plan, PlanCost, PlanRequest, PlanWords, Prices } from "../telemetry/mod.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";

interface Options extends PlanWords {
  readonly prices?: string;
  readonly json?: boolean;
}

export function planCommand(output: Output): Command {
  return new Command("plan")
    .description("storage, machine and cost of a fleet, from our measurements and list prices")
    .requiredOption("--sensors <number>", "how many: 5000, 20k, 1M")
    .option("--every <duration>", "how often each sends a message", "10s")
    .option("--bytes <size>", "payload of a message", "100")
    .option("--fields <number>", "values in a message", "1")
    .option("--raw <duration>", "how long points are kept as they came", "1w")
    .option("--rollup <level:duration,...>", "how long rollups are kept: 1m, 1h, 1d", "1h:1y")
    .option("--log <duration>", "how long the log is kept", "1d")
    .option("--archive <duration>", "how long every message is archived; 0: not at all", "0")
    .option("--prices <file>", "JSON with other prices; `--json` prints the ones that are used")
    .option("--json", "print the plan, its assumptions and prices as JSON")
    .action((options: Options) => plan(options, output));
}

function plan(options: Options, output: Output): void {
  const prices = options.prices === undefined ? LIST_PRICES : pricesFrom(options.prices);
  const request = planRequestOf(options);
  const made = planOf(request, prices);
  if (options.json === true) output.result(JSON.stringify({ request, plan: made, measured: MEASURED, prices }));
  else print(request, made, prices, output);
}

/** The file's members stand for ours; what it does not name stays. */
function pricesFrom(file: string): Prices {
  const reason = (text: string): TidewireError =>
    new TidewireError("CONFIG_VALUE_INVALID", { file, key: "prices", reason: text, command: "plan" });
  let given: unknown;
  try {
    given = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw reason(reasonOf(error));
  }
  return replaced(LIST_PRICES, given, "", reason) as Prices;
}

/** `ours` with what `given` says, member by member: only names and kinds of values that ours has. */
function replaced(ours: unknown, given: unknown, at: string, wrong: (text: string) => TidewireError): unknown {
  if (given === undefined) return ours;
  const kind = kindOf(ours);
  if (kindOf(given) !== kind) throw wrong(`${at === "" ? "it" : `'${at}'`} must be ${kind}`);
  if (typeof given === "number" && !(given >= 0)) throw wrong(`'${at}' must not be negative`);
  if (!isJsonObject(given as never)) return given;
  const result: Record<string, unknown> = { ...(ours as object) };
  for (const [name, value] of Object.entries(given as object)) {
    if (!(name in result)) throw wrong(`there is no price named '${at === "" ? "" : `${at}.`}${name}'`);
    result[name] = replaced(result[name], value, at === "" ? name : `${at}.${name}`, wrong);
  }
  return result;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return typeof value === "number" ? "a number" : "a text";
}

const WHAT: Readonly<Record<string, string>> = {
  log: "log, as sent",
  raw: "points",
  "1m": "rollups of 1 minute",
  "1h": "rollups of 1 hour",
  "1d": "rollups of 1 day",
  archive: "archive of all messages",
};

function print(request: PlanRequest, plan: Plan, prices: Prices, output: Output): void {
  const { machine, uncompressed, saving } = plan;
  const line = (text = ""): void => output.result(text);
  line(
    table([
      [
        "sensors",
        `${compact(request.sensors)}, each every ${durationText(request.every)}, ${request.bytes} bytes, ${request.fields} ${request.fields === 1 ? "value" : "values"}`,
      ],
      ["messages", `${compact(plan.messagesPerSecond)} a second, ${compact(plan.messagesPerDay)} a day`],
      [
        "points",
        `${compact(plan.pointsPerSecond)} a second, ${compact(plan.pointsPerDay)} a day, in ${compact(plan.series)} series`,
      ],
      [
        "ingest",
        `${shownBytes(plan.payloadBytesPerSecond)}/s of payload, ${shownBytes(plan.networkBytesPerSecond)}/s on the wire`,
      ],
      [
        "as sent",
        `${shownBytes(uncompressed.raw)} for ${durationText(request.raw)}, ${shownBytes(uncompressed.year)} for a year`,
      ],
    ]),
  );
  line();
  const stored = plan.storage.map(({ name, keep, rows, bytes }) => [
    WHAT[name]!,
    durationText(keep),
    compact(rows),
    shownBytes(bytes),
  ]);
  line(table([["STORED", "FOR", "ROWS", "SIZE"], ...stored]));
  const less = saving.rawYear.bytes / saving.planned.bytes;
  line(
    `Points and rollups: ${shownBytes(saving.planned.bytes)}. Raw points for a year would be ${shownBytes(saving.rawYear.bytes)}, ${compact(less)} times as much: ${money(saving.rawYear.perMonth - saving.planned.perMonth, prices)} a month of disk.`,
  );
  line();
  line(
    `Machine: ${machine.cores} cores, ${shownMemory(machine.memoryBytes)} of memory, ${shownBytes(machine.diskBytes)} of disk (half of what was measured per core, 70 % of memory and disk used)`,
  );
  line(`After a power cut all sensors are back within ${durationText(Math.ceil(machine.reconnect / 1000) * 1000)}.`);
  if (machine.beyond !== null)
    line(`One machine is not enough: ${machine.beyond}. Divide the fleet, or send less often.`);
  line();
  const costs = plan.costs.map((cost) => [cost.name, money(cost.perMonth, prices), partsOf(cost, prices)]);
  line(table([["COST", "A MONTH", "OF WHICH"], ...costs]));
  for (const { name, doubt } of plan.costs) if (doubt !== null) line(`${name}: ${doubt}.`);
  line(
    `Prices are assumptions of ${prices.date} in ${prices.currency}, without discounts, network, backup and work; --prices FILE replaces them.`,
  );
}

function partsOf({ parts }: PlanCost, prices: Prices): string {
  return parts.map(({ name, perMonth }) => `${name} ${money(perMonth, prices)}`).join(", ");
}

function money(amount: number, { currency }: Prices): string {
  const rounded = amount >= 100 ? Math.round(amount) : Math.round(amount * 100) / 100;
  return `${rounded.toLocaleString("en")} ${currency}`;
}

function shownMemory(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 3)} GiB`;
}

const UNITS: readonly (readonly [size: number, name: string])[] = [
  [365 * 86_400_000, "year"],
  [7 * 86_400_000, "week"],
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1000, "second"],
];

function durationText(duration: number): string {
  for (const [size, name] of UNITS) {
    if (duration < size) continue;
    const count = Number((duration / size).toPrecision(3));
    if (Number.isInteger(count) || duration >= 10 * size || name === "second")
      return `${count} ${name}${count === 1 ? "" : "s"}`;
  }
  return `${duration} ms`;
}
