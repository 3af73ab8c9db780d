/** How `--help` says what an option may be, and what holds without it: in the words of whoever types it. */
import type { Argument, HelpConfiguration, Option } from "commander";

/** What `<duration>` and `<when>` stand for, in `tidewire --help`. */
export const TIMES_HELP = `
Times, in every command:
  <duration>  500ms, 30s, 15m, 2h, 1h30m, 14d, 1w, 1y
  <when>      a duration back from now (or ahead, where it is about what comes), or 2026-12-31, 2026-12-31T08:00Z`;

export const HELP_WORDS: HelpConfiguration = {
  optionDescription: (option) => withFacts(option, option.isBoolean() || option.negate),
  argumentDescription: (argument) => withFacts(argument, false),
};

type Described = Pick<Option | Argument, "description" | "argChoices" | "defaultValue" | "defaultValueDescription">;

function withFacts(
  { description, argChoices, defaultValue, defaultValueDescription }: Described,
  flag: boolean,
): string {
  const choices = argChoices === undefined ? [] : [argChoices.join(", ")];
  const value = defaultValueDescription ?? (flag ? "" : textOf(defaultValue));
  const facts = [...choices, ...(value === "" ? [] : [`default: ${value}`])];
  return facts.length === 0 ? description : `${description} (${facts.join("; ")})`;
}

/** Nothing for lists that begin empty. */
function textOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
