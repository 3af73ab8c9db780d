/** The command lines of campaigns and benchmarks (`npm run kill`, `npm run bench` …): their options, and a refusal that says what is wrong. */
import { parseArgs } from "node:util";

type Option = string | number | boolean;

/** What an option may be, whatever its default is. */
type Value<T extends Option> = T extends number ? number : T extends boolean ? boolean : string;

export interface CommandLine<D extends Readonly<Record<string, Option>>> {
  readonly values: { readonly [Name in keyof D]: Value<D[Name]> };
  /** What is named beside the options. */
  readonly names: readonly string[];
}

export interface CommandLineRules<D> {
  /** What may be named beside the options. */
  readonly known?: readonly string[];
  /** Numbers that may not be 0: with that, nothing would be done, and found right. */
  readonly atLeastOne?: readonly (keyof D)[];
}

/**
 * Reads this process's command line; options have the type of their default, and numbers are whole ones from 0 on. Ends the process
 * with status 2 where it cannot be read or is against the rules, and with status 0 for `--help`.
 */
export function readCommandLine<const D extends Readonly<Record<string, Option>>>(
  command: string,
  defaults: D,
  { known = [], atLeastOne = [] }: CommandLineRules<D> = {},
): CommandLine<D> {
  try {
    const options: Record<string, { type: "boolean" | "string" }> = { help: { type: "boolean" } };
    for (const [name, value] of Object.entries(defaults)) {
      options[name] = { type: typeof value === "boolean" ? "boolean" : "string" };
    }
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    if (values["help"] === true) {
      process.stdout.write(`${usageOf(command, defaults, known)}\n`);
      process.exit(0);
    }
    const strange = positionals.find((name) => !known.includes(name));
    if (strange !== undefined) throw new Error(`“${strange}” is not known here`);
    const read = Object.entries(defaults).map(([name, otherwise]) => {
      const given = values[name] ?? otherwise;
      if (typeof otherwise !== "number") return [name, given];
      return [name, wholeNumber(name, String(given), atLeastOne.includes(name) ? 1 : 0)];
    });
    return { values: Object.fromEntries(read) as CommandLine<D>["values"], names: positionals };
  } catch (error) {
    process.stderr.write(`${(error as Error).message.split(". ")[0]}\n${usageOf(command, defaults, known)}\n`);
    process.exit(2);
  }
}

function wholeNumber(name: string, text: string, least: number): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number < least)
    throw new Error(`--${name} is a whole number from ${least} on, not “${text}”`);
  return number;
}

function usageOf(command: string, defaults: Readonly<Record<string, Option>>, known: readonly string[]): string {
  const names = known.length === 0 ? "" : ` [${known.join("|")}]`;
  const options = Object.entries(defaults).map(([name, value]) => {
    if (typeof value === "boolean") return ` [--${name}]`;
    return value === "" ? ` [--${name} TEXT]` : ` [--${name} ${value}]`;
  });
  return `usage: npm run ${command} --${names}${options.join("")}\nNumbers and texts shown are the defaults.`;
}
