import { newSteps } from "../regexp/regexp.ts";
import { toText } from "../value.ts";
import { noteTooMuch, patternFault, patternOf } from "./pattern.ts";
import type { SqlFunction } from "./function.ts";

export const regexpMatchesFunction: SqlFunction = {
  name: "regexp_matches",
  group: "string",
  signature: "regexp_matches(text, pattern)",
  summary: "Whether the text contains a match of the regular expression.",
  examples: [
    ["regexp_matches('aaaa', 'a{2,}')", "true"],
    ["regexp_matches('aaaa', 'b')", "false"],
    ["regexp_matches(1234, '^[0-9]+$')", "true"],
    ["regexp_matches(NULL, 'a')", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  check: (args) => patternFault(args, 1),
  call([value, pattern], input, site) {
    const text = toText(value);
    const compiled = patternOf(pattern, false, input, site);
    if (text === undefined || compiled === undefined) return undefined;
    const match = compiled.exec(text, 0, newSteps());
    return match === undefined ? noteTooMuch(input) : match !== null;
  },
};
