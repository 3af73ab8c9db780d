/** `tidewire rules test` over the log that a platform wrote, against the rate at which the messages came. */
import { join } from "node:path";
import { freePort } from "../free-port.ts";
import { ROOT, SERVER_CORE, outputOf, start, startPlatform, tell, withFolder } from "../processes.ts";
import { startLoad } from "../latency.ts";
import { figure, median } from "../report.ts";
import type { Row } from "../report.ts";
import { BACKGROUND } from "./webhook.ts";

const SECONDS = 60;
const SQL = "SELECT n, t FROM 'load/#' WHERE n > 100 AND t > 0";

interface Tested {
  /** Milliseconds. */
  readonly took: number;
  readonly messages: { readonly log: number; readonly archive: number };
}

export async function backTest(runs: number): Promise<Row> {
  return withFolder(async (folder) => {
    const data = join(folder, "platform");
    const listen = `mqtt://127.0.0.1:${await freePort()}?auth=none`;
    const platform = await startPlatform(data, { core: SERVER_CORE, flags: ["--listen", listen] });
    const began = performance.now();
    const sent = await startLoad(platform, BACKGROUND, SECONDS);
    const tookMs = performance.now() - began;
    await platform.stop();
    const live = (sent / tookMs) * 1000;
    const rates: number[] = [];
    for (let run = 0; run < runs; run++) {
      const test = [join(ROOT, "bin/tidewire.mjs"), "rules", "test", SQL, "--since", "1d", "--data", data, "--json"];
      const { took, messages } = JSON.parse(await outputOf(start([process.execPath, ...test]))) as Tested;
      const read = messages.log + messages.archive;
      if (read < sent) throw new Error(`of ${sent} messages ${read} were read`);
      tell(`back-test: ${read} messages in ${figure(took)} ms`);
      rates.push((read / took) * 1000);
    }
    return {
      claim: `back-test against the live rate, ${figure(live)} msg/s at QoS 1`,
      unit: "×",
      must: { atLeast: 20 },
      runs: rates.map((rate) => rate / live),
      peer: `${figure(median(rates))} msg/s`,
    };
  });
}
