/** The options of `tidewire agent`, known to both of its readers: the small one here and the one that prints help. */
import { parseArgs } from "node:util";

export interface AgentOptions {
  readonly config: string;
  readonly broker?: string;
  readonly renewal?: string;
  readonly data?: string;
  readonly verbose?: boolean;
}

/** `null` where the arguments are not plainly right: then the full parser is asked, which explains. */
export function agentOptionsOf(args: readonly string[]): AgentOptions | null {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: "string" },
        broker: { type: "string" },
        renewal: { type: "string" },
        data: { type: "string" },
        verbose: { type: "boolean" },
      },
    });
    const { config, broker, renewal, data, verbose } = values;
    if (config === undefined) return null;
    return {
      config,
      ...(broker === undefined ? {} : { broker }),
      ...(renewal === undefined ? {} : { renewal }),
      ...(data === undefined ? {} : { data }),
      ...(verbose === undefined ? {} : { verbose }),
    };
  } catch {
    return null;
  }
}
