/** `tidewire certs`: which devices' certificates end soon, and how one that slept too long comes back. */
import { Command, InvalidArgumentError, Option } from "commander";
import { systemClock } from "../adapters/system.ts";
import { days } from "../base/mod.ts";
import type { PlatformClient } from "./client.ts";
import { confirm, withConfirmation } from "./confirmation.ts";
import type { Deed } from "./confirmation.ts";
import { clientOf, withConnection } from "./connection.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";
import { aheadOf } from "./time-options.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly within: number;
  readonly for: number;
  readonly json?: boolean;
  readonly yes?: boolean;
}

interface Expiring {
  readonly overdue: number;
  readonly expired: number;
  readonly certificates: readonly {
    readonly certificateId: string;
    readonly things: readonly string[];
    readonly notAfter: number;
    readonly isOver: boolean;
  }[];
}

const STATUSES = [
  ["activate", "ACTIVE", "Active; the device may come."],
  ["deactivate", "INACTIVE", "Inactive; its connections are ended."],
] as const;

export function certsCommand(output: Output): Command {
  const certs = new Command("certs").description(
    "certificates of devices: which end soon; let one renew that is too late",
  );
  certs.addCommand(
    withConnection(new Command("expiring"))
      .description("active certificates that end soon and have not been renewed, the first to end first")
      .addOption(inDays("--within <when>", "how soon: 48h from now, or a time (2026-12-31)", 14))
      .option("--json", "print the result as JSON")
      .action((options: Options) => expiring(options, output)),
    { isDefault: true },
  );
  certs.addCommand(
    withConnection(new Command("readmit"))
      .description("let a device renew its expired certificate although its grace is over")
      .argument("<certificate>", "the certificate's id")
      .addOption(inDays("--for <when>", "how long it may: 48h from now, or a time (2026-12-31); at most 90d", 7))
      .action(async (certificate: string, options: Options) => {
        const path = `/api/certificates/${encodeURIComponent(certificate)}/readmission`;
        const { until } = await clientOf(options).call<{ until: number }>("POST", path, { days: options.for });
        output.result(`It may renew until ${new Date(until).toISOString()}; the device asks once an hour.`);
      }),
  );
  for (const [verb, status, done] of STATUSES) {
    certs.addCommand(
      withConnection(new Command(verb))
        .description(`set a certificate's status to ${status}`)
        .argument("<certificate>", "the certificate's id")
        .action(async (certificate: string, options: Options) => {
          await setStatus(clientOf(options), certificate, status);
          output.result(done);
        }),
    );
  }
  certs.addCommand(
    withConfirmation(withConnection(new Command("revoke")))
      .description("revoke a certificate for good; `deactivate` can be taken back")
      .argument("<certificate>", "the certificate's id")
      .action((certificate: string, options: Options) => revoke(certificate, options, output)),
  );
  certs.addCommand(
    withConnection(new Command("code"))
      .description("a code with which a device may enrol once by EST (simpleenroll), within an hour")
      .argument("<thing>", "the thing that it will be")
      .option("--json", "print the result as JSON")
      .action(async (thing: string, options: Options) => {
        const made = await clientOf(options).call<{ code: string }>("POST", "/api/enrolment-codes", { thing });
        output.result(options.json === true ? JSON.stringify({ thing, ...made }) : made.code);
      }),
  );
  return certs;
}

async function setStatus(client: PlatformClient, certificate: string, status: string): Promise<void> {
  await client.call("PUT", `/certificates/${encodeURIComponent(certificate)}?newStatus=${status}`);
}

async function revoke(certificate: string, options: Options, output: Output): Promise<void> {
  const client = clientOf(options);
  await confirm(options, () => revocationOf(client, certificate), output);
  await setStatus(client, certificate, "REVOKED");
  output.result("Revoked for good; its connections are ended.");
}

/** Nobody types 64 digits: the device's name will do, where it is of one. */
async function revocationOf(client: PlatformClient, certificate: string): Promise<Deed> {
  const { certificateDescription } = await client.get<{ certificateDescription: { certificateArn: string } }>(
    `/certificates/${encodeURIComponent(certificate)}`,
  );
  const { things } = await client.call<{ things: readonly string[] }>("GET", "/principals/things", undefined, {
    "x-amzn-principal": certificateDescription.certificateArn,
  });
  const short = certificate.slice(0, 8);
  const of = things.length === 0 ? "no thing" : things.join(", ");
  return {
    what: `Revoking certificate ${short}… of ${of}`,
    name: things.length === 1 ? things[0]! : short,
    means: [
      "whoever holds it is disconnected now, and never gets in with it again",
      "it does not come back: the device needs a new one (`tidewire certs deactivate` can be taken back)",
    ],
  };
}

function inDays(flags: string, text: string, fallback: number): Option {
  return new Option(flags, text).argParser(daysOf).default(fallback, `${fallback}d`);
}

async function expiring(options: Options, output: Output): Promise<void> {
  const found = await clientOf(options).get<Expiring>(`/api/certificates/expiring?days=${options.within}`);
  if (options.json === true) return output.result(JSON.stringify(found));
  const rows = found.certificates.map(({ certificateId, things, notAfter, isOver }) => [
    things.join(" ") || "(no thing)",
    new Date(notAfter).toISOString().slice(0, 16),
    isOver ? "expired" : "",
    certificateId,
  ]);
  if (rows.length > 0) output.result(table([["THING", "ENDS", "", "CERTIFICATE"], ...rows]));
  output.result(`${rows.length} end within ${options.within} days; ${found.overdue} should have been renewed by now.`);
}

/** A moment to come, or a number of days alone; whole days, the last one counted. */
function daysOf(text: string): number {
  const until = aheadOf(/^\d{1,4}$/.test(text) ? `${text}d` : text);
  const count = Math.ceil((until - systemClock.now()) / days(1));
  if (count < 1 || count > 3650) throw new InvalidArgumentError("It must be from a day to ten years ahead.");
  return count;
}
