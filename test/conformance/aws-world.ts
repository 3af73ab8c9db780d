/** AWS's own SDKs against a real platform process, and a count of what they have called. */
import assert from "node:assert/strict";
import { IoTClient } from "@aws-sdk/client-iot";
import { IoTDataPlaneClient } from "@aws-sdk/client-iot-data-plane";
import { PERMISSIONS } from "../../src/people/mod.ts";
import { PlatformProcess, temporaryFolder } from "../scenarios/support/platform-process.ts";

export interface AwsWorld {
  readonly platform: PlatformProcess;
  readonly folder: string;
  readonly iot: IoTClient;
  readonly data: IoTDataPlaneClient;
  readonly credentials: Credentials;
  /** Names of the operations that were called, and of those whose refusal was looked at. */
  readonly called: Set<string>;
  readonly refused: Map<string, Set<string>>;
  /** The call is refused by this exception of AWS's. */
  readonly refuses: (call: Promise<unknown>, exception: string) => Promise<void>;
  close(): Promise<void>;
}

interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

interface Context {
  readonly commandName?: string;
}

export async function awsWorld(): Promise<AwsWorld> {
  const folder = temporaryFolder();
  const platform = await PlatformProcess.start(folder.path);
  const called = new Set<string>();
  const refused = new Map<string, Set<string>>();
  const credentials = await accessKey(platform);
  const options = { endpoint: platform.ready.http, region: "us-east-1", credentials, maxAttempts: 1 };
  const iot = new IoTClient(options);
  const data = new IoTDataPlaneClient(options);
  for (const client of [iot, data]) {
    // The stacks differ in types of commands only, which nothing here looks at.
    const stack = client.middlewareStack as IoTClient["middlewareStack"];
    stack.add(
      (next, context: Context) => async (input) => {
        const name = (context.commandName ?? "").replace(/Command$/, "");
        called.add(name);
        try {
          return await next(input);
        } catch (error) {
          const seen = refused.get(name) ?? new Set();
          refused.set(name, seen.add((error as Error).name));
          throw error;
        }
      },
      { step: "initialize" },
    );
  }
  return {
    platform,
    folder: folder.path,
    iot,
    data,
    credentials,
    called,
    refused,
    refuses: async (call, exception) => {
      await assert.rejects(call, (error: Error) => {
        assert.equal(error.name, exception, error.message);
        return true;
      });
    },
    close: async () => {
      iot.destroy();
      data.destroy();
      await platform.stop();
      folder.remove();
    },
  };
}

/** As an operator makes one for an SDK: every request is signed with it (Signature Version 4). */
async function accessKey(platform: PlatformProcess): Promise<Credentials> {
  const permissions = PERMISSIONS.filter((permission) => permission !== "people:write");
  const body = { kind: "access", name: "sdk", permissions };
  const { key, secret } = await platform.api<{ key: { id: string }; secret: string }>("POST", "/api/keys", body);
  return { accessKeyId: key.id, secretAccessKey: secret };
}
