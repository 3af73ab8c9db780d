/** `tidewire things password`: for devices that cannot hold a certificate. */
import { text } from "node:stream/consumers";
import { Command } from "commander";
import type { MadePassword, ThingDetail } from "../cloud/api/contract.ts";
import { confirm, withConfirmation } from "./confirmation.ts";
import type { Deed } from "./confirmation.ts";
import { clientOf, withConnection } from "./connection.ts";
import { optionFault } from "./option-fault.ts";
import type { Output } from "./output.ts";

interface Options {
  readonly remove?: boolean;
  readonly stdin?: boolean;
  readonly policy?: readonly string[];
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
}

export function passwordCommand(output: Output): Command {
  return withConfirmation(withConnection(new Command("password")))
    .description(
      "give a device a password, for one that cannot hold a certificate (`up --listen mqtts://…?auth=password`)",
    )
    .argument("<name>", "thing name; also the user name to log in with")
    .option("--stdin", "take the password from standard input (one line) instead of making one")
    .option("--policy <name...>", "policies for whoever logs in with it (default: tidewire-default, if it has none)")
    .option("--remove", "take it away: whoever is connected with it is cut")
    .option("--json", "print the result as JSON")
    .action((name: string, options: Options) => run(name, options, output));
}

async function run(name: string, options: Options, output: Output): Promise<void> {
  const path = `/api/things/${encodeURIComponent(name)}/password`;
  const client = clientOf(options);
  if (options.remove === true) {
    if (options.stdin === true || options.policy !== undefined)
      throw optionFault("things password", "--remove", "it goes neither with --stdin nor with --policy");
    const means = ["whoever is connected with it is cut; the device needs another one, or a certificate, to come back"];
    await confirm(options, () => ({ what: `Removing the password of '${name}'`, name, means }), output);
    await client.call("DELETE", path);
    output.result(
      options.json === true ? JSON.stringify({ thing: name, removed: true }) : `${name} has no password now.`,
    );
    return;
  }
  const find = async (): Promise<Deed | null> => {
    const { password } = await client.get<ThingDetail>(`/api/things/${encodeURIComponent(name)}`);
    if (password === null) return null;
    const means = ["the one before ends now: whoever is connected with it is cut, and needs the new one to come back"];
    return { what: `Replacing the password of '${name}'`, name, means };
  };
  await confirm(options, find, output);
  const given = options.stdin === true ? { password: (await text(process.stdin)).replace(/\r?\n$/, "") } : {};
  const policies = options.policy === undefined ? {} : { policies: options.policy };
  const made = await client.call<MadePassword>("PUT", path, { ...given, ...policies });
  if (options.json === true) {
    output.result(JSON.stringify(made));
    return;
  }
  output.result(made.password ?? `The password of ${name} is changed.`);
  if (made.password !== null) output.note(`The password of ${name}, shown once; its user name is ${name}.`);
  output.note(`Policies: ${made.policies.join(", ")}. The client id has to be ${name} with tidewire-default.`);
}
