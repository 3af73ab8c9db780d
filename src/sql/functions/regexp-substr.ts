import { newSteps } from "../regexp/regexp.ts";
import { toText } from "../value.ts";
import { noteTooMuch, patternFault, patternOf } from "./pattern.ts";
import type { SqlFunction } from "./function.ts";

export const regexpSubstrFunction: SqlFunction = {
  name: "regexp_substr",
  group: "string",
  signature: "regexp_substr(text, pattern)",
  summary: "The first match of the regular expression in the text; Undefined where there is none.",
  examples: [
    ["regexp_substr('hihihello', 'hi')", '"hi"'],
    ["regexp_substr('hihihello', '(hi)*')", '"hihi"'],
    ["regexp_substr('sensor-17/b', '[0-9]+')", '"17"'],
    ["regexp_substr('a', 'b')", "Undefined"],
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
    if (match === undefined) return noteTooMuch(input);
    return match === null ? undefined : text.slice(match[0], match[1]);
  },
};
