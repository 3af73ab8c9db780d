/** `tidewire login-link`: a new one-time link to the dashboard. */
import { Command } from "commander";
import { clientOf, withConnection } from "./connection.ts";
import type { Output } from "./output.ts";

export function loginLinkCommand(output: Output): Command {
  return withConnection(new Command("login-link"))
    .description("print a link that logs in to the dashboard once")
    .action(async (options: { url?: string; token?: string; data: string }) => {
      const client = clientOf(options);
      const { code } = await client.call<{ code: string }>("POST", "/api/login-codes");
      output.result(`${client.url}/#code=${code}`);
    });
}
