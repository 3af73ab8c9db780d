import { TidewireError } from "../base/mod.ts";

/** What was given on the command line cannot be; `command`: whose `--help` says what can. */
export function optionFault(command: string, key: string, reason: string): TidewireError {
  return new TidewireError("CONFIG_VALUE_INVALID", { file: "The command line", key, reason, command });
}
