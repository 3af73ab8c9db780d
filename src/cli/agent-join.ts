/** `tidewire agent join URL CODE`: a new device becomes one of the platform's, with one line. */
import { parseArgs } from "node:util";
import { joinPlatform } from "../adapters/join-client.ts";
import type { Output } from "./output.ts";

export interface JoinArguments {
  readonly url: string;
  readonly code: string;
  readonly out?: string | undefined;
}

/** Null where the arguments are not `join URL CODE [--out folder]`. */
export function joinArgumentsOf(args: readonly string[]): JoinArguments | null {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { out: { type: "string" } },
      allowPositionals: true,
    });
    const [word, url, code, ...rest] = positionals;
    if (word !== "join" || url === undefined || code === undefined || rest.length > 0) return null;
    return { url, code, out: values.out };
  } catch {
    return null;
  }
}

/** `program`: how this very program is called, for the line that says what to do next. */
export async function runJoin({ url, code, out }: JoinArguments, output: Output, program: string): Promise<void> {
  const { thing, folder, broker } = await joinPlatform({ url, code, folder: out });
  output.result(`Joined ${broker} as ${thing}. Key, certificate and configuration are in ${folder}.`);
  output.result(`Now run: ${program} --config ${folder}/agent.yaml`);
}
