/** Options by which a command finds its platform. */
import type { Command } from "commander";
import { PlatformClient } from "./client.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
}

export function withConnection(command: Command): Command {
  return command
    .option("--url <url>", "address of the platform's API (default: TIDEWIRE_URL, else that of --data)")
    .option("--token <token>", "administrator token or API key (default: TIDEWIRE_TOKEN, else that of --data)")
    .option("--data <folder>", "data folder of a platform on this machine", "tidewire-data");
}

export function clientOf(options: Options): PlatformClient {
  return new PlatformClient(options);
}
