/** `tidewire things retire` and `retired`: devices that leave for good, and those that have left. */
import { Command } from "commander";
import type { ForgetReport, ThingDetail } from "../cloud/api/contract.ts";
import { confirm, withConfirmation } from "./confirmation.ts";
import type { Deed } from "./confirmation.ts";
import { clientOf, withConnection } from "./connection.ts";
import { departures, showDeparture } from "./forget.ts";
import { day, table } from "./output.ts";
import type { Output } from "./output.ts";

interface Options {
  readonly eraseData?: boolean;
  readonly blockName?: boolean;
  readonly freeName?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
  readonly data: string;
}

export function retireCommand(output: Output): Command {
  return withConfirmation(withConnection(new Command("retire")))
    .description("take a device out of service for good: certificates revoked, connection cut, sessions removed")
    .argument("<name>", "thing name")
    .option("--erase-data", "also erase everything that it has ever reported")
    .option("--block-name", "never give the name to another thing")
    .option("--free-name", "only give a blocked name free again")
    .option("--json", "print the result as JSON")
    .action((name: string, options: Options) => retire(name, options, output));
}

export function retiredCommand(output: Output): Command {
  return withConnection(new Command("retired"))
    .description("list devices that were retired: when, whether their data was kept, and whose the name is now")
    .option("--json", "print each as JSON, on one line")
    .action(async (options: Options) => {
      const things = await departures(clientOf(options), "/api/retirements");
      if (options.json === true) {
        for (const report of things) output.result(JSON.stringify(report));
        return;
      }
      const rows = things.map(({ thing, requestedAt, state, data, name }) => [
        thing,
        day(requestedAt),
        state,
        data,
        name,
      ]);
      output.result(table([["THING", "SINCE", "STATE", "DATA", "NAME"], ...rows]));
    });
}

async function retire(name: string, options: Options, output: Output): Promise<void> {
  const client = clientOf(options);
  const path = encodeURIComponent(name);
  if (options.freeName === true) {
    await client.call("DELETE", `/api/blocked-names/${path}`);
    output.result(
      options.json === true ? JSON.stringify({ thing: name, name: "free" }) : `The name ${name} may be given again.`,
    );
    return;
  }
  const { eraseData = false, blockName = false } = options;
  const find = async (): Promise<Deed> => {
    const thing = await client.get<ThingDetail>(`/api/things/${path}`);
    return { what: `Retiring '${name}'`, name, means: meaningOf(thing, { eraseData, blockName }) };
  };
  await confirm(options, find, output);
  const done = await client.call<ForgetReport>("POST", `/api/things/${path}/retire`, { eraseData, blockName });
  showDeparture(done, options, output);
}

function meaningOf(
  { certificates, password, presence }: ThingDetail,
  { eraseData, blockName }: { readonly eraseData: boolean; readonly blockName: boolean },
): readonly string[] {
  const count = certificates.filter(({ status }) => status !== "REVOKED").length;
  const keys = count === 1 ? "1 certificate is" : `${count} certificates are`;
  return [
    `${keys} revoked${password === null ? "" : ", and its password removed"}; none of this comes back`,
    presence.state === "online" ? "it is online now, and its connection is cut" : "it is not connected now",
    "its sessions, retained messages, shadows and registration are removed",
    eraseData
      ? "everything that it has ever reported is erased"
      : "what it has reported is kept (--erase-data erases it)",
    blockName
      ? "its name is never given to another thing, until --free-name"
      : "its name may be given to another thing (--block-name prevents it)",
  ];
}
