/** The commands of docs/from-aws-iot.md, as they stand there, in an empty folder, with AWS's own tools. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { awsIsMissing } from "./support/aws-program.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The page's commands as one script, for the ports that this platform has. */
function commandsFor({ mqtts, http }: { readonly mqtts: string; readonly http: string }): string {
  const page = readFileSync(join(ROOT, "docs/from-aws-iot.md"), "utf8");
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1]!);
  assert.equal(blocks.length, 7, "every block of commands was found");
  const script = blocks
    .join("\n")
    .replaceAll("127.0.0.1:8080", new URL(http).host)
    .replaceAll("8883", new URL(mqtts).port);
  return `set -eu\n${script}`;
}

test("from AWS IoT to Tidewire, word for word", { skip: awsIsMissing }, async () => {
  const folder = temporaryFolder();
  const data = join(folder.path, "tidewire-data");
  mkdirSync(data);
  const platform = await PlatformProcess.start(data);
  try {
    const programs = join(folder.path, "programs");
    mkdirSync(programs);
    const program = `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, "bin/tidewire.mjs")}" "$@"\n`;
    writeFileSync(join(programs, "tidewire"), program, { mode: 0o755 });
    symlinkSync(join(ROOT, "node_modules"), join(folder.path, "node_modules"));
    const path = `${programs}:${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`;
    const env = { PATH: path, HOME: folder.path, AWS_PAGER: "", AWS_MAX_ATTEMPTS: "1" };
    const said = await new Promise<string>((resolve, reject) => {
      execFile("sh", ["-c", commandsFor(platform.ready)], { cwd: folder.path, env }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`${stdout}\n${stderr}`));
      });
    });
    assert.match(said, /on the platform's disk/);
    assert.match(said, /"templateName": ?"pumps"|provisioningtemplate\/pumps/);
    assert.match(said, /2 of 2 lines can be provisioned[\s\S]*2 devices provisioned/);
    assert.match(readFileSync(join(folder.path, "devices/pump-A-18/agent.yaml"), "utf8"), /thing: "pump-A-18"/);
    assert.match(readFileSync(join(folder.path, "shadow.json"), "utf8"), /"desired":\{"speed":3\}/);
    assert.match(readFileSync(join(folder.path, "claim.json"), "utf8"), /BEGIN CERTIFICATE/);
    await until("the reading is stored", async () => {
      const { values } = await platform.api<{ values: readonly { field: string; value: unknown }[] }>(
        "GET",
        "/api/things/pump-1/latest",
      );
      return values.some(({ field, value }) => field === "pressure" && value === 4.2);
    });
  } finally {
    await platform.stop();
    folder.remove();
  }
});
