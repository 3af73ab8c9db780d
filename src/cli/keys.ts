/** `tidewire keys`: keys of programs, each with its own scopes. */
import { Command } from "commander";
import type { EpochMs } from "../base/mod.ts";
import type { KeyList, NewKeyResult } from "../cloud/api/contract.ts";
import { confirm, withConfirmation } from "./confirmation.ts";
import { clientOf, withConnection } from "./connection.ts";
import { day, table } from "./output.ts";
import type { Output } from "./output.ts";
import { aheadOf } from "./time-options.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly scope: readonly string[];
  readonly things?: readonly string[];
  readonly policy?: readonly string[];
  readonly expires?: EpochMs;
  readonly accessKey?: boolean;
  readonly all?: boolean;
  readonly json?: boolean;
  readonly yes?: boolean;
}

export function keysCommand(output: Output): Command {
  const keys = new Command("keys").description("API keys and access keys (AWS Signature V4) for programs");
  keys.addCommand(
    withConnection(new Command("add"))
      .description("make a key; its secret is printed once")
      .argument("<name>", "for people: what it is for")
      .option("--scope <permission...>", "what it may do, e.g. fleet:read telemetry:read metrics:read", [])
      .option("--policy <name...>", "with --access-key: what MQTT over WebSocket, signed with it, may do")
      .option("--things <pattern...>", "only for these things, e.g. 'line-*'")
      .option("--expires <when>", "e.g. 30d from now, or a time (2026-12-31) (default: never)", aheadOf)
      .option("--access-key", "an id and a secret for AWS's SDKs and command line instead of a bearer token")
      .option("--json", "print the result as JSON")
      .action((name: string, options: Options) => add(name, options, output)),
  );
  keys.addCommand(
    withConnection(new Command("list"))
      .description("list keys; with --all everybody's")
      .option("--all", "everybody's")
      .option("--json", "print the result as JSON")
      .action((options: Options) => list(options, output)),
  );
  keys.addCommand(
    withConfirmation(withConnection(new Command("revoke")))
      .description("end a key now, with all that is connected by it")
      .argument("<id>", "as `tidewire keys list` shows it")
      .option("--json", "print the result as JSON")
      .action(async (id: string, options: Options) => {
        const means = ["what uses it is refused from now on, and cut where it is connected; it needs another key"];
        await confirm(options, () => ({ what: `Revoking key '${id}'`, name: id, means }), output);
        await clientOf(options).call("DELETE", `/api/keys/${encodeURIComponent(id)}`);
        output.result(options.json === true ? JSON.stringify({ revoked: id }) : `Revoked ${id}.`);
      }),
  );
  return keys;
}

async function add(name: string, options: Options, output: Output): Promise<void> {
  const { scope: permissions, things, policy, accessKey, expires, json } = options;
  const body = {
    kind: accessKey === true ? "access" : "api",
    name,
    permissions,
    things: things ?? null,
    ...(policy === undefined ? {} : { policies: policy }),
    expiresAt: expires ?? null,
  };
  const { key, secret } = await clientOf(options).call<NewKeyResult>("POST", "/api/keys", body);
  if (json === true) output.result(JSON.stringify({ ...key, secret }));
  else if (key.kind === "access") {
    output.result(`AWS_ACCESS_KEY_ID=${key.id}`);
    output.result(`AWS_SECRET_ACCESS_KEY=${secret}`);
    output.note("The secret is shown once.");
  } else {
    output.result(secret);
    output.note(`The key ${key.id}, shown once. Send it as \`Authorization: Bearer …\`.`);
  }
}

async function list(options: Options, output: Output): Promise<void> {
  const query = options.all === true ? "?all=true" : "";
  const { keys } = await clientOf(options).get<KeyList>(`/api/keys${query}`);
  if (options.json === true) {
    for (const key of keys) output.result(JSON.stringify(key));
    return;
  }
  const rows = keys.map((key) => [
    key.id,
    key.kind,
    key.name,
    key.owner ?? "–",
    key.permissions.join(" "),
    key.expiresAt === null ? "never" : day(key.expiresAt),
    day(key.lastUsedAt),
  ]);
  output.result(table([["ID", "KIND", "NAME", "OWNER", "SCOPES", "EXPIRES", "LAST USED"], ...rows]));
}
