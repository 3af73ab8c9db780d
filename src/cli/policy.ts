/** `tidewire policy`: what devices may do: list, put, attach, and ask whether one may. */
import { Command, InvalidArgumentError, Option } from "commander";
import { arnOf } from "../base/mod.ts";
import type { PolicyAnswer, PolicyVersions, PutPolicy } from "../cloud/api/contract.ts";
import { clientOf, withConnection } from "./connection.ts";
import { givenText } from "./given-text.ts";
import { optionFault } from "./option-fault.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly json?: boolean;
}

interface TargetOptions extends Options {
  readonly certificate?: string;
  readonly thing?: string;
  readonly group?: string;
  readonly password?: string;
}

interface TestOptions extends Options {
  readonly thing?: string;
  readonly certificate?: string;
  readonly login?: "password" | "token";
  readonly tokenPolicy?: readonly string[];
  readonly clientId?: string;
  readonly sourceIp?: string;
  readonly action: Action;
  readonly resource: string;
  readonly policy?: string;
  readonly beside?: boolean;
}

interface AllowOptions extends Options {
  readonly certificate: string;
  readonly action: Action;
  readonly retain?: boolean;
  readonly resource: string;
}

const ACTIONS = ["Connect", "Publish", "Subscribe", "Receive", "RetainPublish"] as const;
type Action = (typeof ACTIONS)[number];

export function policyCommand(output: Output): Command {
  const policy = new Command("policy").description("policies: what devices may do, and whether one may");
  const add = (name: string, description: string): Command => {
    const command = withConnection(new Command(name))
      .description(description)
      .option("--json", "print the result as JSON");
    policy.addCommand(command);
    return command;
  };
  add("list", "list all policies").action((options: Options) => list(options, output));
  add("show", "print a policy's document as it holds now")
    .argument("<name>", "the policy's name")
    .action((name: string, options: Options) => show(name, options, output));
  add("versions", "list a policy's versions")
    .argument("<name>", "the policy's name")
    .action((name: string, options: Options) => versions(name, options, output));
  add("put", "make a policy, or give it a new version that holds at once")
    .argument("<name>", "the policy's name")
    .argument("<file>", "the document; - reads standard input")
    .action((name: string, file: string, options: Options) => put(name, file, options, output));
  for (const verb of ["attach", "detach"] as const) {
    add(
      verb,
      verb === "attach" ? "give a policy to a certificate, thing, group or password" : "take a policy away again",
    )
      .argument("<name>", "the policy's name")
      .option("--certificate <id>", "the certificate")
      .option("--thing <name>", "all certificates that the thing has now")
      .option("--group <name>", "the thing group")
      .option("--password <thing>", "the thing's password: what who logs in with it may do")
      .action((name: string, options: TargetOptions) => target(verb, name, options, output));
  }
  add("test", "say whether a device may, by which statement, or what is missing; exit status 1 where it may not")
    .option("--thing <name>", "the device by its thing")
    .option("--certificate <id>", "the device by its certificate")
    .addOption(new Option("--login <how>", "it has no certificate: it logs in so").choices(["password", "token"]))
    .option("--token-policy <names...>", "with --login token: policies that the token brings")
    .option("--client-id <id>", "with which it connects (default: the thing's name)")
    .option("--source-ip <address>", "from which it connects")
    .requiredOption("--action <action>", "connect, publish, subscribe, receive or retain-publish", actionOf)
    .requiredOption("--resource <name>", "client id, topic or filter")
    .option("--policy <file>", "try this document instead of the attached policies")
    .option("--beside", "with --policy: try it beside them")
    .action((options: TestOptions) => test(options, output));
  add("allow", "allow exactly one thing to one certificate, by a policy of its own")
    .requiredOption("--certificate <id>", "the certificate")
    .requiredOption("--action <action>", "connect, publish, subscribe or receive", actionOf)
    .option("--retain", "publish retained messages, too")
    .requiredOption("--resource <name>", "client id, topic or filter, as it is: * and ? are no wildcards")
    .action((options: AllowOptions) => allow(options, output));
  return policy;
}

async function list(options: Options, output: Output): Promise<void> {
  const names: string[] = [];
  let marker: string | null | undefined = null;
  do {
    const query: string = marker === null ? "" : `?marker=${encodeURIComponent(marker)}`;
    const page: { policies: readonly { policyName: string }[]; nextMarker?: string | null } = await clientOf(
      options,
    ).get(`/policies${query}`);
    for (const { policyName } of page.policies) names.push(policyName);
    marker = page.nextMarker ?? undefined;
  } while (marker !== undefined);
  output.result(options.json === true ? JSON.stringify(names) : names.join("\n"));
}

async function show(name: string, options: Options, output: Output): Promise<void> {
  const found = await clientOf(options).get<{ policyDocument: string }>(`/policies/${encodeURIComponent(name)}`);
  output.result(options.json === true ? JSON.stringify(found) : found.policyDocument);
}

async function versions(name: string, options: Options, output: Output): Promise<void> {
  const path = `/api/policies/${encodeURIComponent(name)}/versions`;
  const found = await clientOf(options).get<PolicyVersions>(path);
  if (options.json === true) return output.result(JSON.stringify(found.versions));
  const rows = found.versions.map(({ version, isDefault, createdAt }) => [
    String(version),
    isDefault ? "holds" : "",
    new Date(createdAt).toISOString(),
  ]);
  output.result(table([["VERSION", "", "MADE"], ...rows]));
}

async function put(name: string, file: string, options: Options, output: Output): Promise<void> {
  const body = { policyDocument: await givenText(file) };
  const made = await clientOf(options).call<PutPolicy>("PUT", `/api/policies/${encodeURIComponent(name)}`, body);
  for (const warning of made.warnings) output.note(`warning: ${warning}`);
  tell(made, options, output);
}

async function target(verb: "attach" | "detach", name: string, options: TargetOptions, output: Output): Promise<void> {
  const client = clientOf(options);
  const path = `/target-policies/${encodeURIComponent(name)}`;
  const targets: string[] = [];
  if (options.certificate !== undefined) targets.push(options.certificate);
  if (options.group !== undefined) targets.push(arnOf.group(options.group));
  if (options.password !== undefined) targets.push(`password/${options.password}`);
  if (options.thing !== undefined) {
    const of = await client.get<{ principals: readonly string[] }>(
      `/things/${encodeURIComponent(options.thing)}/principals`,
    );
    targets.push(...of.principals);
  }
  if (targets.length === 0)
    throw optionFault(`policy ${verb}`, "--thing", "say to what: --certificate, --thing, --group or --password");
  for (const one of targets) await client.call(verb === "attach" ? "PUT" : "POST", path, { target: one });
  if (options.json === true) output.result(JSON.stringify({ policyName: name, targets }));
  else output.result(`${verb === "attach" ? "Attached" : "Detached"} ${name}; it counts from now on.`);
}

async function test(options: TestOptions, output: Output): Promise<void> {
  const { thing, certificate, login, tokenPolicy, clientId, sourceIp, action, resource, policy, beside } = options;
  const answer = await clientOf(options).call<PolicyAnswer>("POST", "/api/policy-tests", {
    ...(thing === undefined ? {} : { thing }),
    ...(certificate === undefined ? {} : { certificateId: certificate }),
    ...(login === undefined ? {} : { login }),
    ...(tokenPolicy === undefined ? {} : { tokenPolicies: tokenPolicy }),
    ...(clientId === undefined ? {} : { clientId }),
    ...(sourceIp === undefined ? {} : { sourceIp }),
    action,
    resource,
    ...(policy === undefined ? {} : { document: await givenText(policy), beside: beside === true }),
  });
  if (!answer.allowed) process.exitCode = 1;
  if (options.json === true) return output.result(JSON.stringify(answer));
  const { decidedBy } = answer;
  const version = decidedBy === null || decidedBy.version === null ? "" : ` (version ${decidedBy.version})`;
  output.result(`${answer.sentence}${version}`);
  for (const note of answer.notes) output.result(`  ${note}`);
}

async function allow(options: AllowOptions, output: Output): Promise<void> {
  const { certificate: certificateId, action, retain = false, resource } = options;
  const body = { certificateId, action, retain, resource };
  tell(await clientOf(options).call<PutPolicy>("POST", "/api/policy-allowances", body), options, output);
}

function tell({ policyName, version }: PutPolicy, options: Options, output: Output): void {
  if (options.json === true) output.result(JSON.stringify({ policyName, version }));
  else output.result(`Version ${version} of ${policyName} holds from now on.`);
}

function actionOf(text: string): Action {
  const plain = text.replace(/^iot:/, "").replaceAll("-", "").toLowerCase();
  const found = ACTIONS.find((action) => action.toLowerCase() === plain);
  if (found === undefined)
    throw new InvalidArgumentError("one of connect, publish, subscribe, receive, retain-publish.");
  return found;
}
