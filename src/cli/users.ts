/** `tidewire users`: the people who may log in, and what they may do. */
import { Command } from "commander";
import type { InvitedUser, UserList, UserView } from "../cloud/api/contract.ts";
import { clientOf, withConnection } from "./connection.ts";
import type { PlatformClient } from "./client.ts";
import { confirm, withConfirmation } from "./confirmation.ts";
import { day, table } from "./output.ts";
import type { Output } from "./output.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly role: string;
  readonly json?: boolean;
  readonly yes?: boolean;
}

export function usersCommand(output: Output): Command {
  const users = new Command("users").description(
    "people who log in with a name and a password: add, list, change them",
  );
  const add = (name: string, text: string): Command => {
    const command = withConnection(new Command(name)).description(text).option("--json", "print the result as JSON");
    users.addCommand(command);
    return command;
  };
  add("add", "invite somebody: prints a link with which he sets his own password")
    .argument("<name>", "with which the user logs in")
    .option("--role <role>", "administrator, operator or viewer", "viewer")
    .action(async (name: string, options: Options) => {
      const client = clientOf(options);
      invite(await client.call("POST", "/api/users", { name, role: options.role }), client, options, output);
    });
  add("list", "list all users").action((options: Options) => list(options, output));
  add("role", "give a user another role")
    .argument("<name>", "with which the user logs in")
    .argument("<role>", "administrator, operator or viewer")
    .action((name: string, role: string, options: Options) => change(name, { role }, options, output));
  add("disable", "lock a user out; his dashboards and keys end now")
    .argument("<name>", "with which the user logs in")
    .action((name: string, options: Options) => change(name, { disabled: true }, options, output));
  add("enable", "let a disabled user in again")
    .argument("<name>", "with which the user logs in")
    .action((name: string, options: Options) => change(name, { disabled: false }, options, output));
  withConfirmation(add("reset", "end a user's password and print a new invitation"))
    .argument("<name>", "with which the user logs in")
    .action(async (name: string, options: Options) => {
      const means = [
        "his password, or the invitation before, ends now, and so do his dashboards; his keys go on",
        "he does not come back but by the link that is printed",
      ];
      await confirm(options, () => ({ what: `Ending the password of '${name}'`, name, means }), output);
      const client = clientOf(options);
      invite(await client.call("POST", `${pathOf(name)}/invitation`), client, options, output);
    });
  withConfirmation(add("remove", "remove a user with his keys"))
    .argument("<name>", "with which the user logs in")
    .action(async (name: string, options: Options) => {
      const means = [
        "his dashboards and keys end now; what uses such a key is refused from then on",
        "he does not come back but by a new invitation (`tidewire users disable` can be taken back)",
      ];
      await confirm(options, () => ({ what: `Removing user '${name}'`, name, means }), output);
      await clientOf(options).call("DELETE", pathOf(name));
      output.result(options.json === true ? JSON.stringify({ removed: name }) : `Removed ${name}.`);
    });
  return users;
}

function pathOf(name: string): string {
  return `/api/users/${encodeURIComponent(name)}`;
}

function invite({ user, invitation }: InvitedUser, client: PlatformClient, { json }: Options, output: Output): void {
  const link = `${client.url}/#invitation=${invitation.code}`;
  if (json === true) {
    output.result(JSON.stringify({ user, link, expiresAt: invitation.expiresAt }));
    return;
  }
  output.result(`${user.name} (${user.role}) sets a password here, once, until ${day(invitation.expiresAt)}:`);
  output.result(link);
}

async function list(options: Options, output: Output): Promise<void> {
  const { users } = await clientOf(options).get<UserList>("/api/users");
  if (options.json === true) {
    for (const user of users) output.result(JSON.stringify(user));
    return;
  }
  const rows = users.map(({ name, role, state, lastLoginAt }) => [name, role, state, day(lastLoginAt)]);
  output.result(table([["NAME", "ROLE", "STATE", "LAST LOGIN"], ...rows]));
}

async function change(name: string, body: object, options: Options, output: Output): Promise<void> {
  const user = await clientOf(options).call<UserView>("PATCH", pathOf(name), body);
  output.result(options.json === true ? JSON.stringify(user) : `${user.name} is ${user.role}, ${user.state}.`);
}
