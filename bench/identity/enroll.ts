/** Devices with a certificate each, which may do everything: what is measured is not who they are. */
import type { Platform } from "../processes.ts";

export interface Device {
  readonly clientId: string;
  readonly certificateId: string;
  readonly arn: string;
  readonly key: string;
  readonly cert: string;
}

export const POLICY = "bench";

const EVERYTHING = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "iot:*", Resource: "*" }],
});

interface Issued {
  readonly certificateArn: string;
  readonly certificateId: string;
  readonly certificatePem: string;
  readonly keyPair: { readonly PrivateKey: string };
}

export async function enroll(platform: Platform, count: number): Promise<Device[]> {
  await platform.api("PUT", `/api/policies/${POLICY}`, { policyDocument: EVERYTHING });
  return inParallel(count, 16, async (n) => {
    const issued = await platform.api<Issued>("POST", "/keys-and-certificate?setAsActive=true", {});
    await platform.api("PUT", `/target-policies/${POLICY}`, { target: issued.certificateArn });
    return {
      clientId: `device-${n}`,
      certificateId: issued.certificateId,
      arn: issued.certificateArn,
      key: issued.keyPair.PrivateKey,
      cert: issued.certificatePem,
    };
  });
}

/** The results in order, some at a time. */
export async function inParallel<T>(count: number, atOnce: number, task: (n: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const n = next++;
      results[n] = await task(n);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, work));
  return results;
}
