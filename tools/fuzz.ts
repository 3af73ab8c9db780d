/**
 * `npm run fuzz -- --seconds 60 --seed 1`: broken packets at the reader, then hostile clients at the broker, half the time
 * each. Ends with status 1 at the first thing that is wrong, and prints its seed and the bytes of a new case.
 */
import { fuzz } from "../src/wire/mqtt/packets.fuzz.ts";
import { play, printed, shrink, storyOf } from "../test/conformance/hostile-story.ts";
import { readCommandLine } from "./options.ts";

const { seconds, seed } = readCommandLine("fuzz", { seconds: 30, seed: 1 }, { atLeastOne: ["seconds"] }).values;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
/** A story that looks through the whole memory takes as long as many that do not. */
const LEAKS_EVERY = 50;

if (fuzzReader(deadline(seconds / 2))) await fuzzBroker(deadline(seconds / 2));
else process.exitCode = 1;

function deadline(span: number): () => boolean {
  const end = performance.now() + span * 1000;
  return () => performance.now() < end;
}

function fuzzReader(more: () => boolean): boolean {
  try {
    const { rounds, delivered, refused } = fuzz(seed, (round) => round % 100 !== 0 || more());
    say(`reader, seed ${seed}: ${rounds} inputs, ${delivered} packets delivered, ${refused} refused`);
    return true;
  } catch (error) {
    const { message, cause } = error as Error;
    say(`reader: ${message}\n${String(cause)}`);
    return false;
  }
}

async function fuzzBroker(more: () => boolean): Promise<void> {
  let played = 0;
  for (let at = seed; more(); at++, played++) {
    const steps = storyOf(at);
    const leaks = played % LEAKS_EVERY === 0;
    const fault = await play(steps, { leaks });
    if (fault === null) continue;
    say(`broker, seed ${at}: ${fault}\nmade as short as it can be (connection, bytes):`);
    const short = await shrink(steps, (some) => play(some, { leaks }));
    say(printed(short));
    process.exitCode = 1;
    return;
  }
  say(`broker, seeds ${seed} to ${seed + played - 1}: ${played} stories, the good were served in all`);
}
