/** Debian's `aws` command line, for tests of a client that we did not write. */
import { execFileSync } from "node:child_process";

const isInstalled = ((): boolean => {
  try {
    execFileSync("aws", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

/** For a test's `skip`. */
export const awsIsMissing: string | false = isInstalled ? false : "the aws command line is not installed";
