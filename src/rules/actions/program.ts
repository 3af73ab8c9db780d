/** JSON lines on the input of a program that the operator has put into the platform's `programs` folder, and that runs on. */
import { mib, seconds } from "../../base/mod.ts";
import { invalid, only, optionalFlag, present, text } from "./checks.ts";
import type { ActionKind, Carrier } from "./kind.ts";

export interface ProgramBody {
  /** An executable file of `programs` in the data folder: a rule names it, and cannot bring one along. */
  readonly name: string;
  readonly arguments?: readonly string[];
  /**
   * It answers each line `{"id":…}` with a line `{"id":…}`, or `{"id":…,"error":…}`, where `final: true` says that another
   * attempt is in vain. Default true; otherwise a line counts as delivered once it is written.
   */
  readonly acknowledges?: boolean;
}

const ARGUMENTS_MAX = 32;

const carrier: Carrier = {
  name: "program",
  batchMax: 100,
  batchBytesMax: mib(1),
  linger: 0,
  concurrency: 1,
  timeout: seconds(15),
  ordered: true,
  http: null,
};

export const program: ActionKind<ProgramBody> = {
  name: "program",
  carrier,
  validate(given, at) {
    only(given, at, ["name", "arguments", "acknowledges"]);
    const name = text(given["name"], `${at}.name`, 128);
    if (!/^[0-9A-Za-z_][0-9A-Za-z._-]*$/.test(name))
      throw invalid(`${at}.name`, "it must be the name of a file, without a path");
    return present({
      name,
      arguments: given["arguments"] === undefined ? undefined : argumentsOf(given["arguments"], `${at}.arguments`),
      acknowledges: optionalFlag(given["acknowledges"], `${at}.acknowledges`),
    });
  },
  plan: (body) => ({
    settings: { name: body.name, arguments: body.arguments ?? [], acknowledges: body.acknowledges ?? true },
    label: `program ${body.name}`,
    render: ({ bytes, value, input }) => ({
      body: bytes,
      fields: { topic: input.topic, ...(value instanceof Uint8Array ? { raw: "true" } : {}) },
    }),
  }),
};

function argumentsOf(input: unknown, at: string): string[] {
  if (!Array.isArray(input) || input.length > ARGUMENTS_MAX)
    throw invalid(at, `it must be a list of at most ${ARGUMENTS_MAX} texts`);
  return input.map((one, i) => {
    if (typeof one !== "string" || one.length > 4096 || one.includes("\0"))
      throw invalid(`${at}[${i}]`, "it must be text");
    return one;
  });
}
