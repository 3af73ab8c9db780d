/** AWS's SDK keeps a process alive until its closed clients have been collected, which nobody does for an idle one. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** To be called when all of them are closed and nobody holds one. */
export async function collectNativeClients(): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let turn = 0; turn < 3; turn++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
