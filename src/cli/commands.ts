/**
 * Every command of `tidewire`, loaded when it is asked for: all of them, for each that is run, would take 0.4 s of
 * processor time and 130 MB instead of 0.1 s and 60 MB.
 */
import type { Command } from "commander";
import type { Output } from "./output.ts";

type MakeCommand = (output: Output) => Command;

/** By name, in the order of the help. */
export const COMMANDS: Readonly<Record<string, () => Promise<MakeCommand>>> = {
  up: async () => (await import("./up.ts")).upCommand,
  agent: async () => (await import("./agent.ts")).agentCommand,
  things: async () => (await import("./things.ts")).thingsCommand,
  provision: async () => (await import("./provision.ts")).provisionCommand,
  certs: async () => (await import("./certs.ts")).certsCommand,
  policy: async () => (await import("./policy.ts")).policyCommand,
  refused: async () => (await import("./refused.ts")).refusedCommand,
  ca: async () => (await import("./ca.ts")).caCommand,
  pub: async () => (await import("./pub.ts")).pubCommand,
  sub: async () => (await import("./sub.ts")).subCommand,
  shadow: async () => (await import("./shadow.ts")).shadowCommand,
  rules: async () => (await import("./rules.ts")).rulesCommand,
  alerts: async () => (await import("./alerts.ts")).alertsCommand,
  schemas: async () => (await import("./schemas.ts")).schemasCommand,
  schedules: async () => (await import("./documents.ts")).schedulesCommand,
  endpoints: async () => (await import("./documents.ts")).endpointsCommand,
  diff: async () => (await import("./files.ts")).diffCommand,
  apply: async () => (await import("./files.ts")).applyCommand,
  pull: async () => (await import("./files.ts")).pullCommand,
  query: async () => (await import("./query.ts")).queryCommand,
  export: async () => (await import("./export.ts")).exportCommand,
  forget: async () => (await import("./forget.ts")).forgetCommand,
  "login-link": async () => (await import("./login-link.ts")).loginLinkCommand,
  users: async () => (await import("./users.ts")).usersCommand,
  keys: async () => (await import("./keys.ts")).keysCommand,
  token: async () => (await import("./token.ts")).tokenCommand,
  audit: async () => (await import("./audit.ts")).auditCommand,
  log: async () => (await import("./log.ts")).logCommand,
  scrub: async () => (await import("./scrub.ts")).scrubCommand,
  backup: async () => (await import("./backup.ts")).backupCommand,
  restore: async () => (await import("./backup.ts")).restoreCommand,
  plan: async () => (await import("./plan.ts")).planCommand,
  verifier: async () => (await import("./verifier.ts")).verifierCommand,
};

/** The one of this name; where there is none, as for the help or a misspelt one, all. */
export function commandsFor(name: string | undefined): Promise<readonly MakeCommand[]> {
  const wanted = name !== undefined && Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]!] : Object.values(COMMANDS);
  return Promise.all(wanted.map((load) => load()));
}
