/** Which machine a result is of, in one line. */
import { execFileSync } from "node:child_process";
import { cpus, loadavg, release } from "node:os";

export function machine(): string {
  const parts = [
    `${cpus().length} × ${cpus()[0]?.model ?? "?"}`,
    `Linux ${release()}`,
    `Node ${process.versions.node}`,
  ];
  return [...parts, `Mosquitto ${mosquittoVersion()}`, `load average ${loadavg()[0]!.toFixed(1)}`].join(", ");
}

function mosquittoVersion(): string {
  const path = `${process.env["PATH"]}:/usr/sbin`;
  let usage: string;
  try {
    usage = execFileSync("mosquitto", ["-h"], { env: { ...process.env, PATH: path }, stdio: "pipe" }).toString();
  } catch (error) {
    // It prints its version with its usage and ends with 3.
    usage = String((error as { stdout?: Buffer }).stdout ?? "");
  }
  return /mosquitto version (\S+)/.exec(usage)?.[1] ?? "none";
}
