/** `tidewire token`: the platform's own administrator token. */
import { Command } from "commander";
import { confirm, withConfirmation } from "./confirmation.ts";
import { clientOf, withConnection } from "./connection.ts";
import type { Output } from "./output.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly json?: boolean;
  readonly yes?: boolean;
}

export function tokenCommand(output: Output): Command {
  const token = new Command("token").description("the platform's own administrator token");
  token.addCommand(
    withConfirmation(withConnection(new Command("rotate")))
      .description("replace the token; the old one, and dashboards opened with it, end now")
      .option("--json", "print the result as JSON")
      .action(async (options: Options) => {
        const means = [
          "programs, dashboards and MQTT clients that came with the token are refused or cut from now on",
          "the new one is printed, and written to secrets/admin-token of the data folder",
        ];
        await confirm(options, () => ({ what: "Replacing the administrator token", name: "token", means }), output);
        const made = await clientOf(options).call<{ token: string }>("POST", "/api/token/rotate");
        output.result(options.json === true ? JSON.stringify(made) : made.token);
        if (options.json !== true)
          output.note("The new token, which is in secrets/admin-token of the data folder, too.");
      }),
  );
  token.addCommand(
    withConfirmation(withConnection(new Command("revoke")))
      .description(
        "take the token no longer; users and keys go on (a deleted secrets/admin-token is made anew at the next start)",
      )
      .option("--json", "print the result as JSON")
      .action(async (options: Options) => {
        const means = [
          "this command line and dashboards opened with the token are refused from now on",
          "who is to manage the platform needs a user or a key (`tidewire users add`, `tidewire keys add`)",
        ];
        await confirm(options, () => ({ what: "Revoking the administrator token", name: "token", means }), output);
        await clientOf(options).call("DELETE", "/api/token");
        output.result(options.json === true ? JSON.stringify({ revoked: true }) : "The token is revoked.");
      }),
  );
  return token;
}
